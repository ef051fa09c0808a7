import { expect, test } from '@jest/globals';
import { secondsToWait } from './sliding-window.ts';

test.each([
  ['at once', undefined, 0],
  ['at once, a minute after the oldest of sixty', -60_000, 0],
  ['after the last millisecond of the minute', -59_999, 1],
  ['in a whole minute', 0, 60],
  ['later, where the clock of another instance is ahead', 1_500, 62],
])('a user may write again %s', (_when, limitingMs, seconds) => {
  const now = new Date(1_000_000);
  const limiting = limitingMs === undefined ? undefined : new Date(now.getTime() + limitingMs);
  expect(secondsToWait(limiting, now, 60_000)).toBe(seconds);
});
