export type TestClock = ReturnType<typeof testClock>;

/** Only the test advances it. @param startMs Unix milliseconds; a whole second, so that nothing is rounded. */
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
