import { type LookupAddress, lookup } from 'node:dns';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { isForbiddenTarget } from '../config/schema/values/urls.ts';

/** How far from the internet an address is. A wider reach includes the narrower ones. */
export type Reach = 'public' | 'private' | 'loopback';

const reaches: readonly Reach[] = ['public', 'private', 'loopback'];

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4'); // also inside IPv6, as ::ffff:127.0.0.1
loopback.addAddress('::1', 'ipv6');

const internal = new BlockList();
for (const [address, prefix] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // RFC 6598
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // RFC 2544
  ['224.0.0.0', 3], // multicast and reserved
] as const) {
  internal.addSubnet(address, prefix, 'ipv4');
  // The same networks behind NAT64 (RFC 6052).
  internal.addSubnet(`64:ff9b::${address}`, 96 + prefix, 'ipv6');
}
internal.addSubnet('64:ff9b::127.0.0.0', 104, 'ipv6');
internal.addSubnet('fc00::', 7, 'ipv6');
internal.addSubnet('fec0::', 10, 'ipv6');
internal.addSubnet('ff00::', 8, 'ipv6');
internal.addSubnet('2002::', 16, 'ipv6'); // 6to4, which can hold any IPv4 address

function reachOf(address: string): Reach {
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  if (loopback.check(address, family)) return 'loopback';
  return internal.check(address, family) ? 'private' : 'public';
}

export type GuardedFetch = Readonly<{
  /** Uses a new connection for each request. Follows no redirect, and accepts no compression. */
  fetch: typeof fetch;
  /** The furthest reach of an address that has answered so far. */
  reached(): Reach;
}>;

/**
 * Makes requests whose addresses are checked when they connect, so that a name that resolves to another address later is checked
 * again. Link-local addresses and metadata services are always refused.
 *
 * @param mayReach How far connections may go.
 */
export function guardedFetch(mayReach: () => Reach): GuardedFetch {
  let reached: Reach = 'public';

  function accept(address: string): boolean {
    const reach = reachOf(address);
    const isForbidden = isForbiddenTarget(isIP(address) === 6 ? `[${address}]` : address);
    if (isForbidden || reaches.indexOf(reach) > reaches.indexOf(mayReach())) return false;
    return true;
  }

  /** Only an address that answered counts. A name may resolve to others, which are not connected to. */
  function answered(address: string | undefined): void {
    if (address === undefined) return;
    const reach = reachOf(address);
    if (reaches.indexOf(reach) > reaches.indexOf(reached)) reached = reach;
  }

  const checkedLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0);
      const accepted = (found as readonly LookupAddress[]).filter(({ address }) => accept(address));
      const [first] = accepted;
      if (first === undefined) return callback(refusedAddress(), '', 0);
      if (options.all === true) return callback(null, [...accepted]);
      return callback(null, first.address, first.family);
    });
  };

  return {
    async fetch(input, init = {}) {
      const url = new URL(String(input));
      const host = url.hostname.replace(/^\[|\]$/g, '');
      // A literal address is never looked up.
      if (isIP(host) !== 0 && !accept(host)) throw fetchFailed(refusedAddress());
      return send(url, init, checkedLookup, answered);
    },
    reached: () => reached,
  };
}

function send(
  url: URL,
  init: RequestInit,
  lookup: LookupFunction,
  answered: (address: string | undefined) => void,
): Promise<Response> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const headers = new Headers(init.headers);
  headers.set('accept-encoding', 'identity');
  headers.set('user-agent', 'countersign');
  return new Promise((resolve, reject) => {
    request(url, { agent: false, lookup, signal: init.signal ?? undefined, headers: Object.fromEntries(headers) })
      .on('response', (message) => {
        answered(message.socket.remoteAddress);
        try {
          resolve(toResponse(message));
        } catch (error) {
          message.destroy();
          reject(fetchFailed(error));
        }
      })
      .on('error', (error) => reject(fetchFailed(error)))
      .end();
  });
}

/** Statuses whose responses have no body (Fetch standard). */
const withoutBody: readonly number[] = [204, 205, 304];

function toResponse(message: IncomingMessage): Response {
  const { statusCode: status = 0, rawHeaders } = message;
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  const body = withoutBody.includes(status) ? null : Readable.toWeb(message);
  if (body === null) message.resume();
  return new Response(body as ReadableStream<Uint8Array> | null, { status, headers });
}

/** Like the global fetch's error. */
const fetchFailed = (cause: unknown): TypeError => new TypeError('fetch failed', { cause });

const refusedAddress = (): Error => Object.assign(new Error('the address is not public'), { code: 'ADDRESS_REFUSED' });
