/** A clock that advances only when the test advances it. */
export type TestClock = Readonly<{
  /** Unix milliseconds. Pass it wherever a `nowMs` is expected. */
  nowMs(): number;
  advance(ms: number): void;
}>;

/** @param startMs Unix milliseconds; a whole second by default, so that rounding cannot affect a test. */
export function testClock(startMs = Date.UTC(2026, 0, 1)): TestClock {
  let now = startMs;
  return {
    nowMs: () => now,
    advance(ms) {
      now += ms;
    },
  };
}
