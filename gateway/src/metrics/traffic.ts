import type { RequestRecord } from '../pipeline/request-record.ts';
import type { KeepRequest } from './access-log.ts';
import type { RequestMetrics } from './metrics.ts';
import { RecentRequests } from './recent-requests.ts';
import { RefusalCounts } from './refusal-counts.ts';
import { TrafficHistory } from './traffic-history.ts';

/** What a process remembers of its traffic, for operators. All of it is bounded, and none of it outlives the process. */
export type Traffic = Readonly<{
  keep: KeepRequest;
  recent: RecentRequests;
  /**
   * Refused requests are also kept apart, by kind: under load, the last ones would be gone within a second, and
   * anonymous clients could push out the refusals of identified callers.
   */
  refused: readonly RecentRequests[];
  refusals: RefusalCounts;
  history: TrafficHistory;
}>;

const keptRequests = 500;
const keptRefusalsPerKind = 250;

export function createTraffic(
  metrics: Pick<RequestMetrics, 'durations' | 'upstreamDurations'>,
  nowMs: () => number,
): Traffic {
  const recent = new RecentRequests(keptRequests);
  const ring = () => new RecentRequests(keptRefusalsPerKind);
  const refused: RefusalRings = { unmatched: ring(), unidentified: ring(), identified: ring(), fault: ring() };
  const refusals = new RefusalCounts();
  return {
    recent,
    refused: Object.values(refused),
    refusals,
    history: new TrafficHistory({ ...metrics, refusals }),
    keep(record, status, isAborted, durationMs) {
      recent.keep(record, status, isAborted, durationMs);
      if (record.code === undefined) return;
      refused[kindOf(record)].keep(record, status, isAborted, durationMs);
      refusals.count(record, status, nowMs());
    },
  };
}

type RefusalRings = Readonly<Record<'unmatched' | 'unidentified' | 'identified' | 'fault', RecentRequests>>;

/** A client without a valid token fills only the first two. Refusals by a limit cost a caller nothing, so they go there too. */
function kindOf({ fault, route, identity, code }: RequestRecord): keyof RefusalRings {
  if (fault !== 'caller') return 'fault';
  if (route === undefined) return 'unmatched';
  const isIdentified = identity !== undefined && identity !== 'anonymous' && code !== 'rate_limited';
  return isIdentified ? 'identified' : 'unidentified';
}
