import { isIPv6 } from 'node:net';
import { expandIPv6, lastIPv4, plainAddress } from '@countersign/service-kit';

/**
 * Returns the bucket key for an address: an IPv4 address itself, or the /64 of an IPv6 address, because one customer
 * owns a whole /64. An IPv4-mapped or translated (RFC 6052) IPv6 address counts as its IPv4 address. Otherwise all
 * IPv4 clients would share one /64 (CVE-2026-30827).
 */
export function addressKey(address: string): string {
  const plain = plainAddress(address);
  if (!isIPv6(plain)) return plain;
  const groups = expandIPv6(plain);
  if (groups.slice(0, 6).every((group, at) => group === translated[at])) return lastIPv4(groups);
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** The prefix 64:ff9b::/96 (RFC 6052 section 2.1). */
const translated = [0x64, 0xff9b, 0, 0, 0, 0];
