import { expect, test } from '@jest/globals';
import { createLimiters } from './limiter.ts';

const limit = { by: 'user', requests: 1, perSec: 60, onStoreFailure: 'local' } as const;

test('a limit that a reload does not change keeps its counts, and a changed one begins anew', async () => {
  const before = createLimiters(undefined, undefined);
  const first = before.limiterFor('a', limit);
  const after = createLimiters(undefined, before.limiters);
  expect(after.limiterFor('a', { ...limit })).toBe(first);
  for (const change of [{ requests: 2 }, { perSec: 61 }, { onStoreFailure: 'deny' } as const])
    expect(after.limiterFor('a', { ...limit, ...change })).not.toBe(first);
  expect(after.limiterFor('b', limit)).not.toBe(first);
});
