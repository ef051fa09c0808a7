import type { Timers } from '../src/index.ts';

/** A clock and timers that tests control. */
export class FakeTimers implements Timers {
  nowMs = 1_000_000;
  readonly #waiting: { atMs: number; call: () => void }[] = [];

  readonly now = () => this.nowMs;

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, call };
    this.#waiting.push(timer);
    return () => {
      const at = this.#waiting.indexOf(timer);
      if (at !== -1) this.#waiting.splice(at, 1);
    };
  }

  /** Milliseconds until each waiting timer fires, soonest first. */
  get delays(): number[] {
    return this.#waiting.map(({ atMs }) => atMs - this.nowMs).sort((a, b) => a - b);
  }

  /** Advances the clock and calls the timers that are due. */
  advance(ms: number): void {
    this.nowMs += ms;
    for (const timer of this.#waiting.filter(({ atMs }) => atMs <= this.nowMs)) {
      this.#waiting.splice(this.#waiting.indexOf(timer), 1);
      timer.call();
    }
  }
}
