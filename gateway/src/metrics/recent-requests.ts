import type { RequestRecord } from '../pipeline/request-record.ts';

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
