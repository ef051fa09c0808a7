import { isIPv4, isIPv6 } from 'node:net';
import { expandIPv6, plainAddress } from '@countersign/service-kit';

/**
 * Returns the network that rate limits count: an IPv4 address, or the /64 of an IPv6 address, which usually belongs to
 * one subscriber. All other values share one bucket, so that a missing address cannot bypass a limit.
 */
export function networkOf(address: string | null | undefined): string {
  if (!address || address.includes('%')) return 'unknown';
  const plain = plainAddress(address);
  if (isIPv4(plain)) return plain;
  if (!isIPv6(plain)) return 'unknown';
  const prefix = expandIPv6(plain).slice(0, 4);
  return `${prefix.map((group) => group.toString(16)).join(':')}::/64`;
}
