/** When to fetch next. Pure, so that the whole timetable can be read and tested as a table. */

/** While no set is held that may be used: 250 ms, doubling to 5 s, since nothing works without one. */
const firstDelayMs = 250;
const firstCeilingMs = 5_000;
/** With a set held there is no hurry, and a struggling endpoint is left alone. */
const laterDelayMs = 1_000;
const laterCeilingMs = 60_000;

/**
 * @param failuresInARow 1 after the first failure.
 * @param random From 0 to 1; spreads a fleet that lost its endpoint in the same second over half the delay.
 */
export function retryDelayMs(state: { held: boolean; failuresInARow: number }, random: number): number {
  const [base, ceiling] = state.held ? [laterDelayMs, laterCeilingMs] : [firstDelayMs, firstCeilingMs];
  const full = Math.min(ceiling, base * 2 ** Math.min(state.failuresInARow - 1, 16));
  return Math.max(firstDelayMs, Math.round(full * (0.5 + random / 2)));
}

/**
 * Refreshes before the set expires, at 75 to 90 % of its life.
 *
 * @param maxAgeMs What the answer allowed; kept between `floorMs` and `cacheMaxAgeMs`, so that neither `max-age=0` makes us
 *   hammer the endpoint nor `max-age=1y` makes us miss a rotation.
 */
export function refreshDelayMs(
  maxAgeMs: number | undefined,
  bounds: { floorMs: number; cacheMaxAgeMs: number },
  random: number,
): number {
  const life = Math.min(bounds.cacheMaxAgeMs, Math.max(bounds.floorMs, maxAgeMs ?? bounds.cacheMaxAgeMs));
  return Math.round(life * (0.75 + random * 0.15));
}

/** The timers a key set runs on, so that a test can turn them by hand. */
export interface Timers {
  /** Calls once after `delayMs`; the returned function cancels. */
  after(delayMs: number, call: () => void): () => void;
}

/** Real timers that do not keep the process alive. */
export const unrefTimers: Timers = {
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
