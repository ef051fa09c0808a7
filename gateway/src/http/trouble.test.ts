import { testClock } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { createTrouble } from './trouble.ts';

test.each([
  [false, 'info'],
  [true, 'warn'],
])('failures in a row are told at once, after 10 s and then once a minute (worked before: %s)', (hasWorked, first) => {
  const clock = testClock();
  const trouble = createTrouble(clock.nowMs);
  const told: unknown[] = [];
  for (let second = 0; second < 140; second += 1) {
    const level = trouble.failed(hasWorked);
    if (level !== undefined) told.push([second, level]);
    clock.advance(1000);
  }
  expect(told).toEqual([
    [0, first],
    [10, 'warn'],
    [70, 'warn'],
    [130, 'warn'],
  ]);
});

test('trouble that comes again is told again', () => {
  const trouble = createTrouble(testClock().nowMs);
  expect(trouble.failed(true)).toBe('warn');
  trouble.over();
  expect(trouble.failed(true)).toBe('warn');
});
