import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createLimiter, LocalLimiter } from './limiter.ts';

const limit = { requests: 2, perSec: 86_400, by: 'address', onStoreFailure: 'local' } as const;

test('limits the number of buckets and drops the least recently used one', async () => {
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

/** A model with the same rules, which searches a list from its start. */
function model(requests: number, perSec: number, maxKeys: number) {
  let buckets: { key: string; taken: number; endsAtMs: number }[] = [];
  return (key: string, nowMs: number) => {
    const found = buckets.find((bucket) => bucket.key === key);
    if (found === undefined) {
      for (let count = 0; count < 2; count += 1)
        if (buckets[0] !== undefined && buckets[0].endsAtMs <= nowMs) buckets.shift();
      if (buckets.length >= maxKeys) buckets.shift();
    }
    const isCurrent = found !== undefined && found.endsAtMs > nowMs;
    const taken = isCurrent ? found.taken + 1 : 1;
    const endsAtMs = isCurrent ? found.endsAtMs : nowMs + perSec * 1000;
    buckets = [...buckets.filter((bucket) => bucket.key !== key), { key, taken, endsAtMs }];
    return {
      allowed: taken <= requests,
      remaining: Math.max(0, requests - taken),
      resetSec: Math.max(1, Math.ceil((endsAtMs - nowMs) / 1000)),
    };
  };
}

const steps = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), laterMs: fc.nat(1500) }));

test('counts like the model, for any keys and times', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 }), (taken, requests, maxKeys) => {
      let nowMs = 0;
      const limiter = new LocalLimiter({ requests, perSec: 2 }, maxKeys, () => nowMs);
      const expected = model(requests, 2, maxKeys);
      for (const { key, laterMs } of taken) {
        nowMs += laterMs;
        expect(limiter.take(key)).toEqual(expected(key, nowMs));
      }
    }),
  );
});

test('starts a new window exactly when the old one ends', () => {
  let nowMs = 0;
  const limiter = new LocalLimiter({ requests: 1, perSec: 10 }, 10, () => nowMs);
  expect(limiter.take('a')).toEqual({ allowed: true, remaining: 0, resetSec: 10 });
  nowMs = 9_999;
  expect(limiter.take('a')).toEqual({ allowed: false, remaining: 0, resetSec: 1 });
  nowMs = 10_000;
  expect(limiter.take('a')).toEqual({ allowed: true, remaining: 0, resetSec: 10 });
});

test('says how long to wait for an empty bucket, and takes nothing from it', () => {
  let nowMs = 0;
  const refusals = new LocalLimiter({ requests: 3, perSec: 60 }, 10, () => nowMs);
  for (let count = 0; count < 2; count += 1) refusals.take('192.0.2.1');
  expect(refusals.waitSec('192.0.2.1')).toBe(0);
  nowMs = 10_000;
  refusals.take('192.0.2.1');
  expect(refusals.waitSec('192.0.2.1')).toBe(50);
  expect(refusals.waitSec('192.0.2.2')).toBe(0);
  nowMs = 60_000;
  expect(refusals.waitSec('192.0.2.1')).toBe(0);
  refusals.take('192.0.2.1');
  expect(refusals.waitSec('192.0.2.1')).toBe(0);
});

test('counts new IPv6 addresses by /48 while its table is full', () => {
  let nowMs = 0;
  const limiter = new LocalLimiter({ requests: 3, perSec: 60 }, 2, () => nowMs);
  limiter.take('2001:db8:1:1::/64');
  limiter.take('192.0.2.1');
  const later = [2, 3, 4, 5].map((subnet) => limiter.take(`2001:db8:1:${subnet}::/64`).allowed);
  expect(later).toEqual([true, true, true, false]);
  expect(limiter.waitSec('2001:db8:1:6::/64')).toBe(60);
  expect(limiter.take('2001:db8:2:1::/64').allowed).toBe(true);
  nowMs = 60_000;
  expect(limiter.take('2001:db8:1:2::/64')).toMatchObject({ allowed: true, remaining: 2 });
});
