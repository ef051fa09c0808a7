import type { RequestRecord } from '../pipeline/request-record.ts';
import type { RequestMetrics } from './metrics.ts';
import { RefusalCounts } from './refusal-counts.ts';
import { TrafficHistory } from './traffic-history.ts';

/** The last requests, in a ring of fixed size. It holds the records of the access log. */
export class RecentRequests {
  readonly #records: RequestRecord[] = [];
  readonly #size: number;
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  keep(record: RequestRecord): void {
    this.#records[this.#next] = record;
    this.#next = (this.#next + 1) % this.#size;
  }

  newestFirst(): readonly RequestRecord[] {
    return [...this.#records.slice(this.#next), ...this.#records.slice(0, this.#next)].reverse();
  }
}

const keptRequests = 500;
const keptRefusalsPerKind = 250;

/** What a process remembers about its traffic, for operators. It is limited in size, and lost when the process ends. */
export class Traffic {
  readonly recent = new RecentRequests(keptRequests);
  /**
   * Refused requests are also kept separately, by kind: under load, the last ones would be gone within a second, and
   * anonymous clients could push out the refusals of identified callers.
   */
  readonly #refused = {
    unmatched: new RecentRequests(keptRefusalsPerKind),
    unidentified: new RecentRequests(keptRefusalsPerKind),
    identified: new RecentRequests(keptRefusalsPerKind),
    fault: new RecentRequests(keptRefusalsPerKind),
  };
  readonly refused: readonly RecentRequests[] = Object.values(this.#refused);
  readonly refusals = new RefusalCounts();
  readonly history: TrafficHistory;
  readonly #nowMs: () => number;

  constructor(metrics: Pick<RequestMetrics, 'durations' | 'upstreamDurations'>, nowMs: () => number) {
    this.history = new TrafficHistory({ ...metrics, refusals: this.refusals }, nowMs());
    this.#nowMs = nowMs;
  }

  /** Keeps one finished request, by reference. */
  keep(record: RequestRecord, status: number): void {
    this.recent.keep(record);
    const { code } = record;
    if (code === undefined) return;
    this.#refused[kindOf(record)].keep(record);
    this.refusals.count(record, code, status, this.#nowMs());
  }
}

/**
 * A client without a valid token fills only the first two. Hitting a limit costs a caller nothing, so these refusals go
 * there too.
 */
function kindOf({ fault, route, identity, code }: RequestRecord) {
  if (fault !== 'caller') return 'fault';
  if (route === undefined) return 'unmatched';
  const isIdentified = identity !== undefined && identity !== 'anonymous' && code !== 'rate_limited';
  return isIdentified ? 'identified' : 'unidentified';
}
