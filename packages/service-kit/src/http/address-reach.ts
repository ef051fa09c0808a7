import { BlockList, isIP } from 'node:net';

/**
 * How far from the internet an IP address is. `private` addresses are also shared, reserved or without an assignment.
 * `forbidden` are link-local addresses and the metadata services of clouds, which no request has a reason to reach.
 */
export type AddressReach = 'public' | 'private' | 'loopback' | 'forbidden';

// A BlockList checks an IPv4 address inside IPv6 (::ffff:10.0.0.1) as IPv4.
const forbidden = new BlockList();
forbidden.addSubnet('169.254.0.0', 16, 'ipv4'); // with the metadata service of most clouds
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
forbidden.addAddress('100.100.100.200', 'ipv4'); // Alibaba Cloud
forbidden.addAddress('168.63.129.16', 'ipv4'); // Azure
forbidden.addAddress('192.0.0.192', 'ipv4'); // Oracle Cloud
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addAddress('fd00:ec2::254', 'ipv6'); // AWS
forbidden.addAddress('fd20:ce::254', 'ipv6'); // Google Cloud
// IPv4 link-local inside IPv6: NAT64, 6to4, and the form that RFC 4291 deprecates.
forbidden.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
forbidden.addSubnet('2002:a9fe::', 32, 'ipv6');
forbidden.addSubnet('::a9fe:0', 112, 'ipv6');
forbidden.addAddress('::', 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const special = new BlockList();
for (const [address, prefix] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // RFC 6598
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24], // RFC 5737, like the other two of documentation
  ['192.88.99.0', 24], // RFC 7526
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // RFC 2544
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3], // multicast and reserved
] as const) {
  special.addSubnet(address, prefix, 'ipv4');
  // The same networks behind NAT64 (RFC 6052).
  special.addSubnet(`64:ff9b::${address}`, 96 + prefix, 'ipv6');
}
special.addSubnet('2001::', 23, 'ipv6'); // RFC 2928, with Teredo, which can hold any IPv4 address
special.addSubnet('2001:db8::', 32, 'ipv6');
special.addSubnet('2002::', 16, 'ipv6'); // 6to4, which can hold any IPv4 address
special.addSubnet('3fff::', 20, 'ipv6');

const assigned = new BlockList();
assigned.addSubnet('0.0.0.0', 0, 'ipv4');
assigned.addSubnet('2000::', 3, 'ipv6'); // RFC 4291 section 2.4
assigned.addSubnet('64:ff9b::', 96, 'ipv6');

/**
 * Judges an IP address before a connection, or the one of a connection.
 *
 * @param address IPv4 or IPv6, without brackets. Anything else is `forbidden`.
 */
export function reachOf(address: string): AddressReach {
  const [plain = ''] = address.split('%'); // without the zone of a link-local address
  const version = isIP(plain);
  if (version === 0) return 'forbidden';
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (forbidden.check(plain, family)) return 'forbidden';
  if (loopback.check(plain, family)) return 'loopback';
  return assigned.check(plain, family) && !special.check(plain, family) ? 'public' : 'private';
}
