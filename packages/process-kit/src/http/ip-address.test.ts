import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type AddressClass, addressKey, classifyAddress, widerKey } from './ip-address.ts';

test.each<[AddressClass, string[]]>([
  [
    'public',
    ['1.1.1.1', '93.184.216.34', '172.15.255.255', '172.32.0.1', '100.63.255.255', '100.128.0.1', '223.255.255.255'],
  ],
  ['public', ['2606:4700:4700::1111', '2a00::1', '2001:4860:4860::8888', '::ffff:1.1.1.1', '64:ff9b::1.1.1.1']],
  ['loopback', ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1']],
  ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '::ffff:10.0.0.1']],
  ['private', ['192.0.0.1', '192.0.2.1', '192.88.99.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.9']],
  ['private', ['224.0.0.1', '240.0.0.1', '255.255.255.255']],
  [
    'private',
    ['fc00::1', 'fd00::1', 'fec0::1', 'ff02::1', '100::1', '4000::1', '::10.0.0.1', '::127.0.0.1', '::1.1.1.1'],
  ],
  ['private', ['2001::1', '2001:2::1', '2001:10::1', '2001:db8::1', '2002:0a00:0001::1', '2002:101:101::1', '3fff::1']],
  [
    'private',
    ['64:ff9b::10.0.0.1', '64:ff9b::127.0.0.1', '64:ff9b::192.168.0.1', '64:ff9b:1::1', '64:ff9b:1::1.1.1.1'],
  ],
  ['private', ['64:ff9b:1:a00:0:100::', '64:ff9b:1::10.0.0.1', '2001:0:101:101:0:0:fefe:fefe', '::ffff:0:1.1.1.1']],
  ['forbidden', ['169.254.169.254', '169.254.0.1', '0.0.0.0', '0.1.2.3', '::', '::ffff:a9fe:a9fe', '::ffff:0.0.0.0']],
  ['forbidden', ['100.100.100.200', '168.63.129.16', '192.0.0.192', '::ffff:168.63.129.16']],
  ['forbidden', ['fe80::1', 'fe80::1%eth0', 'febf::1', 'fd00:ec2::254', 'fd20:ce::254']],
  ['forbidden', ['64:ff9b::169.254.169.254', '2002:a9fe:a9fe::1', '::169.254.169.254']],
  ['forbidden', ['64:ff9b::168.63.129.16', '64:ff9b::a83f:8110', '64:ff9b::0.0.0.0', '64:FF9B::100.100.100.200']],
  ['forbidden', ['2002:a83f:8110::1', '2002:0:0::1', '::168.63.129.16', '::2', '::ffff:0:168.63.129.16']],
  // Local NAT64 with a prefix of 48, 56, 64 and 96 bits.
  [
    'forbidden',
    ['64:ff9b:1:a83f:81:1000::', '64:ff9b:1:a8:3f:8110::', '64:ff9b:1:0:a8:3f81:1000::', '64:ff9b:1::a9fe:a9fe'],
  ],
  // Teredo: 168.63.129.16 with all bits inverted.
  ['forbidden', ['2001:0:101:101:0:0:57c0:7eef']],
  ['forbidden', ['', 'localhost', '2130706433', '0x7f.1', '[::1]', '1.1.1.1:80', '1.1.1.1/8']],
])('%s: %j', (expected, addresses) => {
  expect(addresses.map((address) => [address, classifyAddress(address)])).toEqual(
    addresses.map((address) => [address, expected]),
  );
});

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

  test.each([
    ['2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['0:0:0:0::/64', '0:0:0::/48'],
    ['2001:db8:1::/48', '2001:db8:1::/48'],
    ['address 2001:db8:1:2::/64', 'address 2001:db8:1::/48'],
    ['192.0.2.1', '192.0.2.1'],
    ['unknown', 'unknown'],
  ])('the wider key of %s is %s', (key, wider) => {
    expect(widerKey(key)).toBe(wider);
  });
});
