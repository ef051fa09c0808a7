import { BlockList, isIP, isIPv6 } from 'node:net';

/** `private` includes shared, reserved and unassigned addresses, `forbidden` link-local ones and metadata services. */
export type AddressClass = 'public' | 'private' | 'loopback' | 'forbidden';

// A BlockList checks an IPv4-mapped IPv6 address (::ffff:10.0.0.1) as IPv4.
const forbidden = new BlockList();
forbidden.addSubnet('169.254.0.0', 16, 'ipv4'); // includes the metadata service of most clouds
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
forbidden.addAddress('100.100.100.200', 'ipv4'); // Alibaba Cloud
forbidden.addAddress('168.63.129.16', 'ipv4'); // Azure
forbidden.addAddress('192.0.0.192', 'ipv4'); // Oracle Cloud
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addAddress('fd00:ec2::254', 'ipv6'); // AWS
forbidden.addAddress('fd20:ce::254', 'ipv6'); // Google Cloud
forbidden.addAddress('::', 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const special = new BlockList();
for (const [address, prefix] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // RFC 6598
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
}
special.addSubnet('2001::', 23, 'ipv6'); // RFC 2928, with Teredo
special.addSubnet('2001:db8::', 32, 'ipv6');
special.addSubnet('2002::', 16, 'ipv6'); // 6to4
special.addSubnet('3fff::', 20, 'ipv6');

const assigned = new BlockList();
assigned.addSubnet('0.0.0.0', 0, 'ipv4');
assigned.addSubnet('2000::', 3, 'ipv6'); // RFC 4291 section 2.4

/**
 * Classifies an IP address. An IPv6 address with an embedded IPv4 address has the class of that IPv4 address, because a
 * translator or tunnel would connect to it.
 *
 * @param address IPv4 or IPv6 without brackets. Anything else is `forbidden`.
 */
export function classifyAddress(address: string): AddressClass {
  const [plain = ''] = address.split('%'); // without the zone of a link-local address
  const version = isIP(plain);
  if (version === 0) return 'forbidden';
  if (version === 4) return ownClass(plain, 'ipv4');
  const own = ownClass(plain, 'ipv6');
  if (own === 'loopback' || own === 'forbidden') return own;
  const groups = expandIPv6(plain);
  if (startsWith(groups, nat64)) {
    const translated = classifyAddress(lastIPv4(groups));
    return translated === 'loopback' ? 'private' : translated; // the translator's, not this machine's
  }
  return embeddedIPv4(groups).some((v4) => classifyAddress(v4) === 'forbidden') ? 'forbidden' : own;
}

function ownClass(address: string, family: 'ipv4' | 'ipv6'): AddressClass {
  if (forbidden.check(address, family)) return 'forbidden';
  if (loopback.check(address, family)) return 'loopback';
  return assigned.check(address, family) && !special.check(address, family) ? 'public' : 'private';
}

const nat64 = [0x64, 0xff9b, 0, 0, 0, 0]; // 64:ff9b::/96, RFC 6052 section 2.1

/** Returns the IPv4 addresses that an address in a deprecated or local format can stand for. */
function embeddedIPv4(groups: readonly number[]): string[] {
  const bytes = groups.flatMap((group) => [group >> 8, group & 255]);
  const at = (...places: readonly number[]) => places.map((place) => bytes[place]).join('.');
  if (startsWith(groups, [0x2002])) return [at(2, 3, 4, 5)]; // 6to4, RFC 3056 section 2
  // Teredo, RFC 4380 section 4: the client's address with all bits inverted.
  if (startsWith(groups, [0x2001, 0])) return [lastIPv4(groups.map((group) => group ^ 0xffff))];
  // IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (RFC 2765 section 2.1).
  if (startsWith(groups, [0, 0, 0, 0])) return [lastIPv4(groups)];
  if (!startsWith(groups, [0x64, 0xff9b, 1])) return [];
  // Local NAT64 (RFC 8215): the operator chose one of these layouts in RFC 6052 section 2.2. Unused ones begin with 0.
  const layouts = [at(6, 7, 9, 10), at(7, 9, 10, 11), at(9, 10, 11, 12), at(12, 13, 14, 15)];
  return layouts.filter((v4) => !v4.startsWith('0.'));
}

const startsWith = (groups: readonly number[], prefix: readonly number[]): boolean =>
  prefix.every((group, place) => groups[place] === group);

/** Removes the zone, and turns an IPv4-mapped IPv6 address into IPv4. Returns text that is not an address unchanged. */
export function plainAddress(address: string): string {
  if (!isIPv6(address)) return address;
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  // Only IPv4-mapped addresses can match this pattern.
  if (!/^[0:]*:ffff:[^:]+(?::[^:]+)?$/i.test(bare)) return bare;
  const groups = expandIPv6(bare);
  if (groups.length !== 8 || groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return bare;
  return lastIPv4(groups);
}

/** Returns the IPv4 address in the last two of eight groups. */
function lastIPv4(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Returns the eight groups of an IPv6 address as numbers. @param address A valid address without a zone. */
function expandIPv6(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = groupsOf(head);
  if (tail === undefined) return before;
  const after = groupsOf(tail);
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** Whether this is a plain http URL to another machine. Also accepts a file path. */
export function isPlainHttp(url: string): boolean {
  return url.startsWith('http:') && !isLoopback(url);
}

export function isLoopback(url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return isLoopbackHost(host);
}

export function isLoopbackHost(host: string): boolean {
  if (isIP(host) !== 0) return classifyAddress(host) === 'loopback';
  return /^(?:.+\.)?localhost\.?$/.test(host);
}

/**
 * Returns an IPv4 address itself, or the /64 of an IPv6 address, because one customer owns a whole /64. Mapped and
 * translated (RFC 6052) IPv4 clients would otherwise share one /64 (CVE-2026-30827).
 */
export function addressKey(address: string): string {
  const plain = plainAddress(address);
  if (!isIPv6(plain)) return plain;
  const groups = expandIPv6(plain);
  if (startsWith(groups, nat64)) return lastIPv4(groups);
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** Returns the /48 of a key that {@link addressKey} made for an IPv6 address. Other keys stay as they are. */
export function widerKey(key: string): string {
  return key.endsWith('::/64') ? `${key.slice(0, key.lastIndexOf(':', key.length - '::/64'.length - 1))}::/48` : key;
}
