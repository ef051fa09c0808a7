import { isIPv6 } from 'node:net';

/**
 * One bucket for one client: an IPv4 address as it is, IPv6 by its /64, since one customer has a whole /64 to walk through.
 * An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`, or as a translator writes it, RFC 6052) is that IPv4 address, or all IPv4
 * clients would share one /64 (CVE-2026-30827).
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

/** 64:ff9b::/96 (RFC 6052 section 2.1). */
const translated = [0x64, 0xff9b, 0, 0, 0, 0];

/** An address without its zone, and IPv4 in its own clothes however IPv6 spells it. What is no address stays as it is. */
export function plainAddress(address: string): string {
  if (!isIPv6(address)) return address;
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  // No other address begins or ends so; the usual one is not taken apart.
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
