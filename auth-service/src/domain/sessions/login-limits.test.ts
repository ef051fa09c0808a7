import { describe, expect, test } from '@jest/globals';
import { loginLimits, slowdownMs } from './login-limits.ts';

describe('login limits', () => {
  test('a pair, a network and an email address are counted separately, with unambiguous keys', () => {
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
  ])('attempt %i on one email address is delayed by %i ms', (attempts, waitMs) => {
    expect(slowdownMs(attempts)).toBe(waitMs);
  });
});
