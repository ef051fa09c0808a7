import { BlockList, isIP } from 'node:net';
import type { Network } from '../config/config.ts';
import { plainAddress } from '../limits/address-key.ts';

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
      const hop = hopAddress(hops.pop() ?? '');
      // What is no address vouches for nothing: the proxy that passed it on is the last that is known.
      if (hop === undefined) break;
      address = hop;
    }
    return address;
  };
}

// Some proxies write the client's port too; IPv6 stands in brackets then, or the port would be part of it.
const withPort = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/;

function hopAddress(entry: string): string | undefined {
  const text = entry.trim();
  const [, v6, other] = withPort.exec(text) ?? [];
  const address = v6 ?? other ?? text;
  const version = isIP(address);
  if (version === 0 || (v6 !== undefined && version !== 6)) return undefined;
  return plainAddress(address);
}
