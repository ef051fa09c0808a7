import { availableParallelism } from 'node:os';
import { expect, test } from '@jest/globals';
import { UsageError, workersOf } from './command.ts';

test.each([
  ['1', 1],
  ['16', 16],
  ['256', 256],
  ['all', availableParallelism()],
])('--workers %s runs %s', (workers, count) => {
  expect(workersOf({ workers })).toBe(count);
});

test.each(['0', '257', '1.5', '-1', '', 'two', '1e2', 'Infinity'])('refuses --workers %j', (workers) => {
  expect(() => workersOf({ workers })).toThrow(UsageError);
});
