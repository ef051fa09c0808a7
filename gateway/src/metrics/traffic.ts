import type { RequestRecord } from '../pipeline/request-record.ts';
import type { RequestMetrics } from './metrics.ts';
import { RefusalCounts } from './refusal-counts.ts';
import { TrafficHistory } from './traffic-history.ts';

/** A finished request, for operators. */
export type FinishedRequest = Readonly<{
  record: RequestRecord;
  /** 0: the client left before the response started. */
  status: number;
  isAborted: boolean;
  durationMs: number;
}>;

/**
 * The last requests, in a ring of fixed size. It keeps the record that the access log was written from, and copies
 * nothing. Keeping one takes about 20 ns.
 */
export class RecentRequests {
  readonly #records: (RequestRecord | undefined)[];
  readonly #statuses: Uint16Array;
  readonly #aborted: Uint8Array;
  readonly #durations: Float64Array;
  #next = 0;

  constructor(size: number) {
    this.#records = new Array<RequestRecord | undefined>(size).fill(undefined);
    this.#statuses = new Uint16Array(size);
    this.#aborted = new Uint8Array(size);
    this.#durations = new Float64Array(size);
  }

  keep(record: RequestRecord, status: number, isAborted: boolean, durationMs: number): void {
    const at = this.#next;
    this.#next = at + 1 === this.#records.length ? 0 : at + 1;
    this.#records[at] = record;
    this.#statuses[at] = status;
    this.#aborted[at] = isAborted ? 1 : 0;
    this.#durations[at] = durationMs;
  }

  /** Newest first. */
  *newestFirst(): Generator<FinishedRequest> {
    const size = this.#records.length;
    for (let back = 1; back <= size; back += 1) {
      const at = (this.#next - back + size) % size;
      const record = this.#records[at];
      if (record === undefined) return;
      yield {
        record,
        status: this.#statuses[at] ?? 0,
        isAborted: this.#aborted[at] === 1,
        durationMs: this.#durations[at] ?? 0,
      };
    }
  }
}

const keptRequests = 500;
const keptRefusalsPerKind = 250;

/** What a process remembers of its traffic, for operators. All of it is bounded, and none of it outlives the process. */
export class Traffic {
  readonly recent = new RecentRequests(keptRequests);
  /**
   * Refused requests are also kept apart, by kind: under load, the last ones would be gone within a second, and
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
    this.history = new TrafficHistory({ ...metrics, refusals: this.refusals });
    this.#nowMs = nowMs;
  }

  /** Keeps one finished request, by reference. */
  keep(record: RequestRecord, status: number, isAborted: boolean, durationMs: number): void {
    this.recent.keep(record, status, isAborted, durationMs);
    const { code } = record;
    if (code === undefined) return;
    this.#refused[kindOf(record)].keep(record, status, isAborted, durationMs);
    this.refusals.count(record, code, status, this.#nowMs());
  }
}

/** A client without a valid token fills only the first two. Refusals by a limit cost a caller nothing, so they go there too. */
function kindOf({ fault, route, identity, code }: RequestRecord) {
  if (fault !== 'caller') return 'fault';
  if (route === undefined) return 'unmatched';
  const isIdentified = identity !== undefined && identity !== 'anonymous' && code !== 'rate_limited';
  return isIdentified ? 'identified' : 'unidentified';
}
