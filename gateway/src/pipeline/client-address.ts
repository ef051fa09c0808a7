import { BlockList, isIP } from 'node:net';
import { trimOws } from '@countersign/jwks';
import { plainAddress } from '@countersign/process-kit';
import type { Network } from '../config/config.ts';

/**
 * Returns the client's address. Uses only the part of `X-Forwarded-For` that trusted proxies wrote. Reading from the
 * right, the first address that is not a trusted proxy is the client (CVE-2026-40575).
 *
 * @param peer The socket's remote address.
 * @param forwardedFor Every `X-Forwarded-For` value, in the order received.
 */
export type ClientAddress = (peer: string, forwardedFor: readonly string[]) => string;

/** @param trustedProxies If empty, the peer is the client and the header is ignored. */
export function createClientAddress(trustedProxies: readonly Network[]): ClientAddress {
  if (trustedProxies.length === 0) return (peer) => (peer.includes(':') ? plainAddress(peer) : peer);
  const isTrusted = createTrust(trustedProxies);

  return (peer, forwardedFor) => {
    let address = plainAddress(peer);
    const hops = forwardedFor.join(',').split(',');
    while (hops.length > 0 && isTrusted(address)) {
      const hop = hopAddress(hops.pop() ?? '');
      // An invalid entry ends the search. The last known address is the proxy that forwarded the entry.
      if (hop === undefined) break;
      address = hop;
    }
    return address;
  };
}

export function createTrust(trustedProxies: readonly Network[]): (address: string) => boolean {
  const trusted = new BlockList();
  for (const { address, prefix, family } of trustedProxies) trusted.addSubnet(address, prefix, family);
  return (address) => trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

// Some proxies append the client's port. IPv6 addresses are then in brackets.
const withPort = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/;

function hopAddress(entry: string): string | undefined {
  const text = trimOws(entry);
  const [, v6, other] = withPort.exec(text) ?? [];
  const address = v6 ?? other ?? text;
  const version = isIP(address);
  if (version === 0 || (v6 !== undefined && version !== 6)) return undefined;
  return plainAddress(address);
}
