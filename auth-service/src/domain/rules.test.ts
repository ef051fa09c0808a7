import { describe, expect, test } from '@jest/globals';
import { canonicalEmail } from './accounts/email.ts';
import { parseKeyRing } from './keys/key-ring.ts';
import { seal, unseal } from './keys/sealing.ts';
import { loginLimits, slowdownMs } from './sessions/login-limits.ts';

test.each([
  ['Agent@ACME.test', 'agent@acme.test'],
  ['Zoe\u0308@acme.test', 'zoë@acme.test'],
  [' agent@acme.test', ' agent@acme.test'],
])('%j is stored and looked up as %j', (given, canonical) => {
  expect(canonicalEmail(given)).toBe(canonical);
  expect(canonicalEmail(canonical)).toBe(canonical);
});

describe('login limits', () => {
  test('count a pair, an address and an e-mail apart, and no parts run into each other', () => {
    const { pair, address, email } = loginLimits('a@b.test', '192.0.2.1');
    expect(new Set([pair.key, address.key, email.key]).size).toBe(3);
    expect(loginLimits('a', 'b:c').pair.key).not.toBe(loginLimits('a:b', 'c').pair.key);
    expect([pair.refuseAbove, address.refuseAbove, email.refuseAbove]).toEqual([10, 100, undefined]);
  });

  test.each([
    [1, 0],
    [100, 0],
    [101, 50],
    [1_000, 2_000],
  ])('attempt %i on one e-mail waits %i ms', (attempts, waitMs) => {
    expect(slowdownMs(attempts)).toBe(waitMs);
  });
});

describe('sealing', () => {
  const key = Buffer.alloc(32, 7);
  const sealed = seal(key, Buffer.from('secret'), 'kid-1');

  test('opens under the same key and context alone', () => {
    expect(unseal(key, sealed, 'kid-1')?.toString()).toBe('secret');
    expect(unseal(key, sealed, 'kid-2')).toBeUndefined();
    expect(unseal(Buffer.alloc(32, 8), sealed, 'kid-1')).toBeUndefined();
    expect(unseal(key, sealed.subarray(0, 20), 'kid-1')).toBeUndefined();
  });
});

describe('a key ring', () => {
  const bytes = (fill: number) => Buffer.alloc(32, fill).toString('base64url');
  test('makes with the first and reads with all', () => {
    const ring = parseKeyRing(`new:${bytes(1)}, old:${bytes(2)}`);
    expect(ring.current.id).toBe('new');
    expect(ring.find('old')).toEqual(Buffer.alloc(32, 2));
    expect(ring.find('other')).toBeUndefined();
  });

  test.each([
    ['no id', bytes(1)],
    ['too short', `a:${bytes(1).slice(0, 40)}`],
    ['twice the same id', `a:${bytes(1)},a:${bytes(2)}`],
    ['empty', ''],
  ])('with %s is refused, and the message holds nothing of it', (_, text) => {
    expect(() => parseKeyRing(text)).toThrow(/form|same id/);
    expect(() => parseKeyRing(text)).not.toThrow(new RegExp(bytes(1).slice(0, 20)));
  });
});
