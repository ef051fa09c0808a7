export type TestClock = ReturnType<typeof testClock>;

/**
 * A clock that advances only when the test advances it.
 *
 * @param startMs Unix milliseconds; a whole second by default, so that rounding cannot affect a test.
 */
export function testClock(startMs = Date.UTC(2026, 0, 1)) {
  let now = startMs;
  return {
    /** Unix milliseconds. Pass it wherever a `nowMs` is expected. */
    nowMs: () => now,
    advance(ms: number): void {
      now += ms;
    },
  };
}
