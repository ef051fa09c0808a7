import { testClock } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { createOutageLog } from './outage-log.ts';

test.each([
  [false, 'info'],
  [true, 'warn'],
])('logs consecutive failures immediately, after 10 s, then once a minute (worked before: %s)', (hasWorked, first) => {
  const clock = testClock();
  const outages = createOutageLog(clock.nowMs);
  const logged: unknown[] = [];
  for (let second = 0; second < 140; second += 1) {
    const level = outages.failed(hasWorked);
    if (level !== undefined) logged.push([second, level]);
    clock.advance(1000);
  }
  expect(logged).toEqual([
    [0, first],
    [10, 'warn'],
    [70, 'warn'],
    [130, 'warn'],
  ]);
});

test('logs an outage again after a recovery', () => {
  const outages = createOutageLog(testClock().nowMs);
  expect(outages.failed(true)).toBe('warn');
  outages.recovered();
  expect(outages.failed(true)).toBe('warn');
});
