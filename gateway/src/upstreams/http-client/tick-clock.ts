/**
 * Counts time in ticks, so that a request needs no timer. While the event loop is blocked, hardly any time passes:
 * responses that arrived meanwhile are read before they time out.
 */
export class TickClock {
  /** Milliseconds since the first start, as of the last tick. */
  nowMs = 0;
  readonly tickMs: number;
  readonly #onTick: () => void;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;

  constructor(tickMs: number, onTick: () => void) {
    this.tickMs = tickMs;
    this.#onTick = onTick;
  }

  /** Calling it again is harmless. The timer does not keep the process alive. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#lastMs = performance.now();
    this.#timer = setInterval(this.#tick, this.tickMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** @returns The end of a time that starts now. It never comes early. */
  after(ms: number): number {
    return this.nowMs + ms + this.tickMs;
  }

  readonly #tick = (): void => {
    const nowMs = performance.now();
    this.nowMs += Math.min(nowMs - this.#lastMs, 2 * this.tickMs);
    this.#lastMs = nowMs;
    this.#onTick();
  };
}
