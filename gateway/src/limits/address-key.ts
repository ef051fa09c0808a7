import { isIPv6 } from 'node:net';

/**
 * The bucket key of an address: an IPv4 address as it is, an IPv6 address by its /64, since one customer owns a whole
 * /64. An IPv4-mapped or translated (RFC 6052) IPv6 address counts as its IPv4 address. Otherwise all IPv4 clients
 * would share one /64 (CVE-2026-30827).
 */
export function addressKey(address: string): string {
  const plain = plainAddress(address);
  if (!isIPv6(plain)) return plain;
  const groups = expandIPv6(plain);
  if (groups.slice(0, 6).every((group, at) => group === translated[at])) return dotted(groups);
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** The prefix 64:ff9b::/96 (RFC 6052 section 2.1). */
const translated = [0x64, 0xff9b, 0, 0, 0, 0];

/**
 * Removes the zone, and turns an IPv4-mapped IPv6 address into IPv4. Text that is not an address is returned unchanged.
 */
export function plainAddress(address: string): string {
  if (!isIPv6(address)) return address;
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  // IPv4-mapped addresses match this pattern; other addresses are not parsed further.
  if (!/^[0:]*:ffff:[^:]+(?::[^:]+)?$/i.test(bare)) return bare;
  const groups = expandIPv6(bare);
  if (groups.length !== 8 || groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return bare;
  return dotted(groups);
}

/** The IPv4 address in the last two of eight groups. */
function dotted(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** @param address A valid IPv6 address, without a zone. */
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
