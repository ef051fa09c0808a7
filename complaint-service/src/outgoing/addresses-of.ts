import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

/** The timeout for each DNS server. They usually answer in milliseconds. */
const dnsTimeoutMs = 2_000;

const localhost: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Returns the addresses of a host: a literal address is its own, `localhost` is this machine (RFC 6761 section 6.3),
 * and DNS servers are asked for any other name. The file of hosts is not read. `dns.lookup` would hold a thread of
 * libuv's pool for each name, so four names of a server that does not answer would hold up files and passwords.
 *
 * @param servers The DNS servers, as `address:port`. By default, those of the machine.
 * @throws The error of the DNS server, `ETIMEOUT` without an answer, or the reason of `signal`.
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
