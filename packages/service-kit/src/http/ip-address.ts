import { isIPv6 } from 'node:net';

/**
 * Removes the zone, and turns an IPv4-mapped IPv6 address into IPv4. Text that is not an address is returned
 * unchanged.
 */
export function plainAddress(address: string): string {
  if (!isIPv6(address)) return address;
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  // IPv4-mapped addresses match this pattern; other addresses are not parsed further.
  if (!/^[0:]*:ffff:[^:]+(?::[^:]+)?$/i.test(bare)) return bare;
  const groups = expandIPv6(bare);
  if (groups.length !== 8 || groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return bare;
  return lastIPv4(groups);
}

/** The IPv4 address in the last two of eight groups. */
export function lastIPv4(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/**
 * The eight groups of an IPv6 address, as numbers.
 *
 * @param address Valid, without a zone.
 */
export function expandIPv6(address: string): number[] {
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
