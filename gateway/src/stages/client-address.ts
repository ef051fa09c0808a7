import { BlockList, isIP } from 'node:net';
import type { Network } from '../config/config.ts';

/**
 * Who is at the other end. `X-Forwarded-For` counts only as far as trusted proxies wrote it: from the right, each address
 * that is a trusted proxy vouches for the one before it, and the first that is not is the client (CVE-2026-40575).
 *
 * @param peer The socket's remote address.
 * @param forwardedFor Every `X-Forwarded-For` value, in the order received.
 */
export type ClientAddress = (peer: string, forwardedFor: readonly string[]) => string;

/** @param trustedProxies None: the peer is the client, whatever it says. */
export function createClientAddress(trustedProxies: readonly Network[]): ClientAddress {
  if (trustedProxies.length === 0) return (peer) => plainAddress(peer);
  const trusted = new BlockList();
  for (const { address, prefix, family } of trustedProxies) trusted.addSubnet(address, prefix, family);
  const isTrusted = (address: string) => trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

  return (peer, forwardedFor) => {
    let address = plainAddress(peer);
    const hops = forwardedFor.join(',').split(',');
    while (hops.length > 0 && isTrusted(address)) {
      const hop = plainAddress((hops.pop() ?? '').trim());
      // What is no address vouches for nothing: the proxy that passed it on is the last that is known.
      if (isIP(hop) === 0) break;
      address = hop;
    }
    return address;
  };
}

const mappedPrefix = '::ffff:';

/** Without a zone, and IPv4 in its own clothes. */
function plainAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  return bare.startsWith(mappedPrefix) && bare.includes('.') ? bare.slice(mappedPrefix.length) : bare;
}
