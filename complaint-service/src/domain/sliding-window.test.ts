import { expect, test } from '@jest/globals';
import { secondsToWait } from './sliding-window.ts';

test.each([
  ['immediately', undefined, 0],
  ['immediately, a minute after the oldest of sixty writes', -60_000, 0],
  ['after the rest of the last second', -59_999, 1],
  ['after a full minute', 0, 60],
  ['later if another instance’s clock is ahead', 1_500, 62],
])('a user can write again %s', (_when, limitingMs, seconds) => {
  const now = new Date(1_000_000);
  const limiting = limitingMs === undefined ? undefined : new Date(now.getTime() + limitingMs);
  expect(secondsToWait(limiting, now, 60_000)).toBe(seconds);
});
