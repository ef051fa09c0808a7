import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { IdentityUnavailable } from '../contract/refusal.ts';
import { memoryReplay } from './replay-memory.ts';

const claim = (nonce: string, at: { created?: number; keepUntil?: number; now?: number } = {}) => {
  const { created = 1000, keepUntil = 1035, now = 1000 } = at;
  return { audience: 'a', nonce, createdSec: created, keepUntilSec: keepUntil, nowSec: now };
};
const started = (options = {}) => memoryReplay({ nowMs: () => 0, ...options });

test('accepts a nonce once', () => {
  const replay = started();
  expect(replay.claim(claim('n'))).toBe('fresh');
  expect(replay.claim(claim('n'))).toBe('replayed');
  expect(replay.claim(claim('n', { now: 1035 }))).toBe('replayed');
});

test('nonces of different audiences are separate', () => {
  const replay = started();
  expect(replay.claim(claim('n'))).toBe('fresh');
  expect(replay.claim({ ...claim('n'), audience: 'b' })).toBe('fresh');
});

describe('starts at the next whole second', () => {
  test.each([
    [1_000_000, 1001],
    [1_000_001, 1001],
    [1_000_999, 1001],
  ])('at %d ms', (nowMs, firstSec) => {
    const replay = memoryReplay({ nowMs: () => nowMs });
    expect(replay.startsAtMs).toBe(firstSec * 1000);
    expect(replay.claim(claim('a', { created: firstSec - 1 }))).toBe('before_start');
    expect(replay.claim(claim('b', { created: firstSec }))).toBe('fresh');
  });

  test('and gatewayAheadSec later', () => {
    const replay = memoryReplay({ nowMs: () => 1_000_000, gatewayAheadSec: 5 });
    expect(replay.claim(claim('a', { created: 1005 }))).toBe('before_start');
    expect(replay.claim(claim('a', { created: 1006 }))).toBe('fresh');
  });
});

test('when full, throws IdentityUnavailable, keeps live nonces, and continues after some expire', () => {
  const replay = started({ maxNonces: 2 });
  replay.claim(claim('a', { keepUntil: 1010 }));
  replay.claim(claim('b', { keepUntil: 1035 }));
  expect(() => replay.claim(claim('c', { now: 1010 }))).toThrow(IdentityUnavailable);
  expect(replay.claim(claim('a', { keepUntil: 1010, now: 1010 }))).toBe('replayed');
  expect(replay.claim(claim('c', { now: 1011, keepUntil: 1046 }))).toBe('fresh');
  expect(replay.size).toBe(2);
});

test('refuses an expired nonce after the clock was set back', () => {
  const replay = started();
  expect(replay.claim(claim('a', { keepUntil: 1035, now: 1000 }))).toBe('fresh');
  expect(replay.claim(claim('b', { created: 2000, keepUntil: 2035, now: 2000 }))).toBe('fresh');
  expect(replay.claim(claim('a', { keepUntil: 1035, now: 1001 }))).toBe('before_start');
});

test('agrees with a model that keeps every nonce, for all live nonces', () => {
  const step = fc.record({
    nonce: fc.integer({ min: 0, max: 15 }),
    wait: fc.integer({ min: 0, max: 20 }),
    life: fc.integer({ min: 1, max: 65 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const replay = started();
      const model = new Map<number, number>();
      let now = 1000;
      for (const { nonce, wait, life } of steps) {
        now += wait;
        const seenUntil = model.get(nonce);
        const verdict = replay.claim(claim(String(nonce), { created: now, keepUntil: now + life, now }));
        if (seenUntil !== undefined && seenUntil >= now) expect(verdict).toBe('replayed');
        else {
          expect(verdict).toBe('fresh');
          model.set(nonce, now + life);
        }
      }
      expect(replay.size).toBeLessThanOrEqual([...model.values()].filter((until) => until >= now - 20).length + 1);
    }),
  );
});
