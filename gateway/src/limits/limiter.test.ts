import { expect, test } from '@jest/globals';
import { createLimiter } from './limiter.ts';

const limit = { requests: 2, perSec: 86_400, by: 'address', onStoreFailure: 'local' } as const;

test('bounds the number of buckets and drops the least recently used one', async () => {
  const limiter = createLimiter('bounded', limit, undefined, 3);
  const take = async (key: string) => (await limiter.take(key, Number.POSITIVE_INFINITY)).remaining;
  expect([await take('often'), await take('once'), await take('often')]).toEqual([1, 1, 0]);
  for (let other = 0; other < 10; other += 1) {
    expect(await take(`other ${other}`)).toBe(1);
    expect(await take('often')).toBe(0);
  }
  expect(await take('once')).toBe(1);
  expect(await limiter.take('often', Number.POSITIVE_INFINITY)).toMatchObject({ allowed: false, remaining: 0 });
});

test('rounds the end of a window up to whole seconds', async () => {
  const limiter = createLimiter('window', { ...limit, perSec: 10 }, undefined);
  expect(await limiter.take('a', Number.POSITIVE_INFINITY)).toEqual({ allowed: true, remaining: 1, resetSec: 10 });
});
