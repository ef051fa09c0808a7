import { foldHeaderName, isReservedHeader } from '@countersign/identity';

/**
 * What becomes of an inbound header: it passes, it is dropped, or it is one that the gateway reads itself. The last kind is
 * named; those names are exact, so `Content_Length` is not `Content-Length` to us, and reaches nobody to whom it might be.
 */
export type Disposition = 'pass' | 'drop' | ReadHeader;

const readHeaders = [
  'host',
  'authorization',
  'dpop',
  'cookie',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'x-forwarded-for',
  'origin',
] as const;
export type ReadHeader = (typeof readHeaders)[number];

// RFC 9110 section 7.6.1, and what older proxies treat alike. `Expect` was answered by us already.
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'proxy-authenticate',
  'proxy-authorization',
  'expect',
]);

// Clients choose the names, so what is remembered of them is bounded.
const maxRemembered = 1_000;

/** @param strip Further names that are dropped, from the configuration. */
export function createDispositions(strip: readonly string[]): (rawName: string) => Disposition {
  const read: ReadonlySet<string> = new Set(readHeaders);
  const stripped: ReadonlySet<string> = new Set(strip.map(foldHeaderName));
  const remembered = new Map<string, Disposition>();

  function judge(rawName: string): Disposition {
    const folded = foldHeaderName(rawName);
    if (read.has(folded)) {
      // What is decided by Origin is decided by it also where services do not get it.
      const isTaken = !stripped.has(folded) || folded === 'origin';
      return rawName.toLowerCase() === folded && isTaken ? (folded as ReadHeader) : 'drop';
    }
    return isReservedHeader(folded) || hopByHop.has(folded) || stripped.has(folded) ? 'drop' : 'pass';
  }

  return (rawName) => {
    const known = remembered.get(rawName);
    if (known !== undefined) return known;
    const disposition = judge(rawName);
    if (remembered.size < maxRemembered) remembered.set(rawName, disposition);
    return disposition;
  };
}

/** For a person: why a header that a client sent does not reach the service as it was. */
export function whyDropped(name: string, strip: readonly string[]): string {
  const folded = foldHeaderName(name);
  if (strip.map(foldHeaderName).includes(folded)) return 'headers.strip';
  if (folded === 'authorization' || folded === 'dpop' || folded === 'cookie')
    return "passes only where the route's forward says so";
  if (folded === 'host' || folded === 'content-length') return 'the gateway writes its own';
  if (hopByHop.has(folded)) return 'belongs to one connection';
  if (isReservedHeader(folded)) return 'only the gateway may write it';
  return 'named by Connection';
}

/**
 * The (folded) names that `Connection` claims for this hop. The next hop would drop them, so they go before the gateway
 * writes its own: a client could otherwise name ours (CVE-2024-45410, CVE-2025-48865).
 */
export function namedByConnection(values: readonly string[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (const value of values) {
    if (value === 'keep-alive' || value === 'close' || value === 'Upgrade') continue;
    names ??= new Set();
    for (const token of value.split(',')) names.add(foldHeaderName(token.trim()));
  }
  return names;
}
