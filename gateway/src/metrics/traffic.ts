import type { RequestRecord } from '../pipeline/request-record.ts';
import type { RequestMetrics } from './metrics.ts';
import { RefusalCounts } from './refusal-counts.ts';
import { TrafficHistory } from './traffic-history.ts';

/** The most recent requests, in a ring of fixed size. The ring holds the access log's records. */
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

/**
 * What a process remembers about its traffic, for operators. The size is limited, and the data ends with the process.
 */
export class Traffic {
  readonly recent = new RecentRequests(keptRequests);
  /**
   * Refused requests are also kept separately, by kind. Under load, the most recent requests would push them out
   * within a second, and anonymous clients could push out the refusals of identified callers.
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

  /** Keeps one finished request, without copying it. */
  keep(record: RequestRecord, status: number): void {
    this.recent.keep(record);
    const { code } = record;
    if (code === undefined) return;
    this.#refused[kindOf(record)].keep(record);
    this.refusals.count(record, code, status, this.#nowMs());
  }
}

/**
 * Sorts a refusal into a kind. A client without a valid token fills only the first two kinds. Refusals by a limit go
 * there too, because a caller can cause any number of them.
 */
function kindOf({ fault, route, identity, code }: RequestRecord) {
  if (fault !== 'caller') return 'fault';
  if (route === undefined) return 'unmatched';
  const isIdentified = identity !== undefined && identity !== 'anonymous' && code !== 'rate_limited';
  return isIdentified ? 'identified' : 'unidentified';
}
