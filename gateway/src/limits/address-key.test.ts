import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addressKey } from './address-key.ts';

describe('the bucket key of an address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['0000:0::0:FFFF:c000:0201', '192.0.2.1'],
    ['::ffff:192.0.2.1%eth0', '192.0.2.1'],
    ['64:ff9b::192.0.2.1', '192.0.2.1'],
    ['0064:FF9B::c000:201', '192.0.2.1'],
    ['64:ff9b::1:c000:201', '64:ff9b:0:0::/64'],
    ['64:ff9b:1::c000:201', '64:ff9b:1:0::/64'],
    ['::ffff:0:192.0.2.1', '0:0:0:0::/64'],
    ['1::ffff:192.0.2.1', '1:0:0:0::/64'],
    ['::fffe:192.0.2.1', '0:0:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::99', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s is %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  test('is the same within a /64 and different for the next /64', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.integer({ min: 0, max: 0xffff }), (address, suffix) => {
        fc.pre(!address.startsWith('::ffff:') && !address.includes('.'));
        const key = addressKey(address);
        const [a, b, c, d] = key.replace('::/64', '').split(':');
        fc.pre(!/^0:0:0:0$/.test(`${a}:${b}:${c}:${d}`));
        expect(addressKey(`${a}:${b}:${c}:${d}:0:0:0:${suffix.toString(16)}`)).toBe(key);
      }),
    );
  });
});
