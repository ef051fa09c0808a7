/** Without a usable set, no request can be verified, so retries start after 250 ms and double to 5 s. */
const firstDelayMs = 250;
const firstCeilingMs = 5_000;
/** With a usable set, retries start after 1 s and double to 60 s, to spare a failing endpoint. */
const laterDelayMs = 1_000;
const laterCeilingMs = 60_000;

/**
 * Returns the delay before the next attempt after a failure.
 *
 * @param state.held Whether there is a usable set.
 * @param state.failuresInARow 1 after the first failure.
 * @param random A number from 0 to 1. It spreads the retries of many instances over half the delay.
 */
export function retryDelayMs(state: { held: boolean; failuresInARow: number }, random: number): number {
  const [base, ceiling] = state.held ? [laterDelayMs, laterCeilingMs] : [firstDelayMs, firstCeilingMs];
  const full = Math.min(ceiling, base * 2 ** Math.min(state.failuresInARow - 1, 16));
  return Math.max(firstDelayMs, Math.round(full * (0.5 + random / 2)));
}

/**
 * Returns the delay before the next refresh, at 75 to 90 % of the set's lifetime. Without bounds, `max-age=0` would
 * flood the endpoint, and `max-age=1y` would miss rotations.
 */
export function refreshDelayMs(
  maxAgeMs: number | undefined,
  bounds: { floorMs: number; cacheMaxAgeMs: number },
  random: number,
): number {
  const life = Math.min(bounds.cacheMaxAgeMs, Math.max(bounds.floorMs, maxAgeMs ?? bounds.cacheMaxAgeMs));
  return Math.round(life * (0.75 + random * 0.15));
}

/** A key set's timers. Tests replace them. */
export interface Timers {
  /** Calls `call` once after `delayMs`. The returned function cancels it. */
  after(delayMs: number, call: () => void): () => void;
}

/** Node's timers, which do not keep the process alive. */
export const unrefTimers: Timers = {
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
