import { describe, expect, test } from '@jest/globals';
import { loginLimits, networkOf, slowdownMs } from './throttle.ts';

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

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'unknown'],
  ['localhost', 'unknown'],
  [undefined, 'unknown'],
])('%s is counted as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
