/** Requests that failed since the last one that succeeded. Times are Unix milliseconds. */
export type Failing = Readonly<{ sinceMs: number; lastMs: number; code: string; count: number }>;

/**
 * How the last requests to one target ended. A failure counts until a request succeeds: neither time nor a health check
 * ends it.
 */
export class RequestOutcomes {
  #lastSuccessMs: number | undefined;
  #failing: Failing | undefined;

  succeeded(nowMs: number): void {
    this.#lastSuccessMs = nowMs;
    this.#failing = undefined;
  }

  failed(code: string, nowMs: number): void {
    const { sinceMs, count } = this.#failing ?? { sinceMs: nowMs, count: 0 };
    this.#failing = { sinceMs, lastMs: nowMs, code, count: count + 1 };
  }

  /** Undefined: no request has succeeded. */
  get lastSuccessMs(): number | undefined {
    return this.#lastSuccessMs;
  }

  /** Undefined: the last request succeeded, or there was none. */
  get failing(): Failing | undefined {
    return this.#failing;
  }
}
