import { BlockList, isIP } from 'node:net';
import type { Network } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { plainAddress } from '../limits/address-key.ts';

/**
 * Returns the client's address. `X-Forwarded-For` counts only as far as trusted proxies wrote it. Read from the right,
 * the first address that is not a trusted proxy is the client (CVE-2026-40575).
 *
 * @param peer The socket's remote address.
 * @param forwardedFor Every `X-Forwarded-For` value, in the order received.
 */
export type ClientAddress = (peer: string, forwardedFor: readonly string[]) => string;

/** @param trustedProxies If empty, the peer is the client and the header is ignored. */
export function createClientAddress(trustedProxies: readonly Network[]): ClientAddress {
  if (trustedProxies.length === 0) return (peer) => (peer.includes(':') ? plainAddress(peer) : peer);
  const trusted = new BlockList();
  for (const { address, prefix, family } of trustedProxies) trusted.addSubnet(address, prefix, family);
  const isTrusted = (address: string) => trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

  return (peer, forwardedFor) => {
    let address = plainAddress(peer);
    const hops = forwardedFor.join(',').split(',');
    while (hops.length > 0 && isTrusted(address)) {
      const hop = hopAddress(hops.pop() ?? '');
      // An invalid entry ends the search: the proxy that forwarded it is the last known address.
      if (hop === undefined) break;
      address = hop;
    }
    return address;
  };
}

// Some proxies append the client's port. IPv6 then stands in brackets.
const withPort = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/;

function hopAddress(entry: string): string | undefined {
  const text = entry.trim();
  const [, v6, other] = withPort.exec(text) ?? [];
  const address = v6 ?? other ?? text;
  const version = isIP(address);
  if (version === 0 || (v6 !== undefined && version !== 6)) return undefined;
  return plainAddress(address);
}

const hostGrammar = /^(?:[a-z0-9](?:[a-z0-9.-]{0,253})|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/;

/**
 * Checks `Host`.
 *
 * @param publicOrigins Origins that clients may name. If empty, any well-formed host is accepted.
 * @returns A check that returns the host in lower case, and throws AppError `invalid_host` or `misdirected_request`.
 */
export function createHostCheck(publicOrigins: readonly string[]): (host: string | undefined) => string {
  const served = new Set(publicOrigins.flatMap(hostsOf));
  // Most requests name the same host. It is checked once.
  let last: string | undefined;
  let lastLower = '';
  return (host) => {
    if (host !== undefined && host === last) return lastLower;
    const lower = checked(host);
    last = host;
    lastLower = lower;
    return lower;
  };

  function checked(host: string | undefined): string {
    const lower = host?.toLowerCase() ?? '';
    // Configured hosts are well-formed, so the usual request needs one lookup only.
    if (served.has(lower)) return lower;
    const port = hostGrammar.exec(lower);
    if (port === null || Number(port[1] ?? 0) > 65_535) throw new AppError('invalid_host');
    if (served.size > 0) throw new AppError('misdirected_request');
    return lower;
  }
}

/**
 * The hosts of an origin. On its default port it may be named with or without the port.
 *
 * @param origin As `URL` writes it.
 */
export function hostsOf(origin: string): readonly string[] {
  const { host, port, protocol } = new URL(origin);
  return port === '' ? [host, `${host}:${protocol === 'https:' ? 443 : 80}`] : [host];
}
