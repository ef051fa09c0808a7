import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type AllowedReceivers, mayConnectTo } from '../domain/webhooks/addresses.ts';
import type { PostFailure, PostResult } from '../domain/webhooks/retry-rules.ts';

type GuardedPost = Readonly<{
  url: string;
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  receivers: AllowedReceivers;
  timeoutMs: number;
  signal: AbortSignal;
  /** The DNS servers, as `address:port`. By default those of this machine. */
  dnsServers?: readonly string[];
}>;

/**
 * Sends a POST to a URL that a tenant chose. Resolves the name for each request, checks the addresses and connects only
 * to them, so that a name cannot later lead to an internal address. Does not follow redirects. Reads only the status,
 * because the body could show the tenant an internal page.
 */
export async function postGuarded(post: GuardedPost): Promise<PostResult> {
  const url = new URL(post.url);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const timeout = AbortSignal.timeout(post.timeoutMs);
  const signal = AbortSignal.any([timeout, post.signal]);
  try {
    const found = await addressesOf(host, { signal, servers: post.dnsServers });
    const allowed = found.filter(({ address }) => mayConnectTo(address, post.receivers));
    if (allowed.length === 0) return { failure: 'address_refused' };
    return { status: await send(url, allowed, post, signal) };
  } catch (error) {
    if (timeout.aborted) return { failure: 'timeout' };
    // The process is stopping. The receiver did not fail.
    if (post.signal.aborted) throw error;
    return { failure: failureOf(error as NodeJS.ErrnoException) };
  }
}

function send(
  url: URL,
  addresses: readonly LookupAddress[],
  { headers, body }: GuardedPost,
  signal: AbortSignal,
): Promise<number> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      // A pooled connection could lead to an address from an earlier lookup.
      agent: false,
      lookup: answerWith(addresses),
      signal,
      maxHeaderSize: 16 * 1024,
      headers: { ...headers, 'content-length': body.length, 'user-agent': 'countersign-webhook', connection: 'close' },
    });
    sent.on('response', (answer) => {
      resolve(answer.statusCode ?? 0);
      // The body may be endless.
      answer.destroy();
    });
    sent.on('error', reject);
    sent.on('upgrade', (_answer, socket) => {
      socket.destroy();
      reject(Object.assign(new Error('upgraded'), { code: 'HPE_UPGRADE' }));
    });
    sent.end(body);
  });
}

/** Resolves a connection's name to the checked addresses. A literal address needs no lookup. */
function answerWith(addresses: readonly LookupAddress[]): LookupFunction {
  return (_hostname, options, callback) => {
    const [first] = addresses;
    if (options.all === true) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
}

function failureOf({ code = '' }: NodeJS.ErrnoException): PostFailure {
  // The error of a DNS server.
  if (code === 'ETIMEOUT') return 'timeout';
  if (code.startsWith('HPE_')) return 'bad_answer';
  return /^ERR_(TLS|SSL)|CERT|SELF_SIGNED|EPROTO/.test(code) ? 'tls_failed' : 'connection_failed';
}

/** The timeout for each DNS server. Responses usually take milliseconds. */
const dnsTimeoutMs = 2_000;

const localhost: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Returns a host's addresses. A literal address is returned as is, `localhost` is this machine (RFC 6761 section 6.3),
 * and DNS servers resolve any other name. Unlike this, `dns.lookup` would occupy a libuv thread for each name, so that
 * four names with a slow server would block file access and password hashing.
 *
 * @param servers The DNS servers, as `address:port`. By default those of this machine.
 * @throws The DNS server's error, `ETIMEOUT` without a response, or the reason of `signal`.
 */
export async function addressesOf(
  host: string,
  { signal, servers }: Readonly<{ signal: AbortSignal; servers?: readonly string[] | undefined }>,
): Promise<readonly LookupAddress[]> {
  const literal = isIP(host);
  if (literal !== 0) return [{ address: host, family: literal }];
  if (host === 'localhost') return localhost;
  signal.throwIfAborted();
  const resolver = new Resolver({ timeout: dnsTimeoutMs, tries: 1 });
  if (servers !== undefined) resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    signal.throwIfAborted();
    // A host may have addresses of only one family.
    if (v4.status === 'rejected' && v6.status === 'rejected') throw v4.reason;
    const found = (answer: PromiseSettledResult<string[]>, family: 4 | 6) =>
      answer.status === 'fulfilled' ? answer.value.map((address) => ({ address, family })) : [];
    return [...found(v4, 4), ...found(v6, 6)];
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
