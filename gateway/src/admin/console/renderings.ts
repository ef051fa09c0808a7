import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../errors.ts';

/** A page or a JSON text, ready to send. */
export type Rendered = Readonly<{ status: number; type: string; body: Buffer }>;

/** How long a rendered page answers the same URL. */
const keptMs = 1_000;
const maxKept = 32;
/** A program may read all views of the API at once. */
const maxWaiting = 16;
/** Rendering takes a fifth of the time at most, since the same process may serve requests. */
const pausePerMs = 4;
const maxPauseMs = 250;
/** How long a reader waits that gets a kept page or a refusal. Otherwise, one that reads in a loop would occupy the process. */
const slowDownMs = 50;

const pause = (ms: number): Promise<void> => delay(ms, undefined, { ref: false });

/** Renders one page at a time, so that readers of the console do not slow down the public listener. */
export class Renderings {
  readonly #kept = new Map<string, Promise<Rendered>>();
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  /**
   * Renders when the renderings before have ended.
   *
   * @throws AppError `console_busy` when sixteen others wait.
   */
  async inTurn(render: () => Promise<Rendered>): Promise<Rendered> {
    if (this.#waiting === maxWaiting) {
      await pause(slowDownMs);
      throw new AppError('console_busy');
    }
    this.#waiting += 1;
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    this.#waiting -= 1;
    const startedAt = performance.now();
    try {
      return await render();
    } finally {
      const tookMs = performance.now() - startedAt;
      void pause(Math.min(maxPauseMs, tookMs * pausePerMs)).then(resolve);
    }
  }

  /**
   * As `inTurn`, but once a second for each URL.
   *
   * @param url All that the page depends on, besides the state of the gateway.
   */
  async kept(url: string, render: () => Promise<Rendered>): Promise<Rendered> {
    const known = this.#kept.get(url);
    if (known !== undefined) {
      await pause(slowDownMs);
      return known;
    }
    const rendering = this.inTurn(render);
    this.#kept.set(url, rendering);
    const forget = () => {
      if (this.#kept.get(url) === rendering) this.#kept.delete(url);
    };
    rendering.then(() => void pause(keptMs).then(forget), forget);
    const [oldest = url] = this.#kept.keys();
    if (this.#kept.size > maxKept) this.#kept.delete(oldest);
    return rendering;
  }
}
