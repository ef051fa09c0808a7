import type { KeepRequest } from './access-log.ts';
import type { RequestMetrics } from './metrics.ts';
import { RecentRequests } from './recent-requests.ts';
import { RefusalCounts } from './refusal-counts.ts';
import { TrafficHistory } from './traffic-history.ts';

/** What a process remembers of its traffic, for operators. All of it is bounded, and none of it outlives the process. */
export type Traffic = Readonly<{
  keep: KeepRequest;
  recent: RecentRequests;
  /** Refused requests are also kept apart: under load, the last ones would be gone within a second. */
  refused: RecentRequests;
  refusals: RefusalCounts;
  history: TrafficHistory;
}>;

const keptRequests = 500;

export function createTraffic(
  metrics: Pick<RequestMetrics, 'durations' | 'upstreamDurations'>,
  nowMs: () => number,
): Traffic {
  const recent = new RecentRequests(keptRequests);
  const refused = new RecentRequests(keptRequests);
  const refusals = new RefusalCounts();
  return {
    recent,
    refused,
    refusals,
    history: new TrafficHistory({ ...metrics, refusals }),
    keep(record, status, isAborted, durationMs) {
      recent.keep(record, status, isAborted, durationMs);
      if (record.code === undefined) return;
      refused.keep(record, status, isAborted, durationMs);
      refusals.count(record, status, nowMs());
    },
  };
}
