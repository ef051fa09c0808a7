import { foldHeaderName, isReservedHeader } from '@countersign/identity';

/**
 * What happens to an inbound header: it is forwarded, dropped, or read by the gateway, in which case this is its name.
 * Names match exactly: `Content_Length` is not `Content-Length`, and is dropped.
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

// RFC 9110 section 7.6.1, and names that older proxies treat alike. The gateway itself handles `Expect`.
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

// Clients choose the names, so the cache is bounded.
const maxRemembered = 1_000;

/** @param strip Further names to drop, from the configuration. */
export function createHeaderClassifier(strip: readonly string[]): (rawName: string) => Disposition {
  const read: ReadonlySet<string> = new Set(readHeaders);
  const stripped: ReadonlySet<string> = new Set(strip.map(foldHeaderName));
  const remembered = new Map<string, Disposition>();

  function classify(rawName: string): Disposition {
    const folded = foldHeaderName(rawName);
    if (read.has(folded)) {
      // `headers.strip` keeps Origin from services, but the checks of the gateway still need it.
      const isTaken = !stripped.has(folded) || folded === 'origin';
      return rawName.toLowerCase() === folded && isTaken ? (folded as ReadHeader) : 'drop';
    }
    return isReservedHeader(folded) || hopByHop.has(folded) || stripped.has(folded) ? 'drop' : 'pass';
  }

  return (rawName) => {
    const known = remembered.get(rawName);
    if (known !== undefined) return known;
    const disposition = classify(rawName);
    if (remembered.size < maxRemembered) remembered.set(rawName, disposition);
    return disposition;
  };
}

/** Explains to a reader why the service does not receive a client's header unchanged. */
export function whyDropped(name: string, strip: readonly string[]): string {
  const folded = foldHeaderName(name);
  if (strip.map(foldHeaderName).includes(folded)) return 'headers.strip';
  if (folded === 'authorization' || folded === 'dpop' || folded === 'cookie')
    return "forwarded only if the route's forward allows it";
  if (folded === 'host' || folded === 'content-length') return 'the gateway writes its own';
  if (hopByHop.has(folded)) return 'hop-by-hop header';
  if (isReservedHeader(folded)) return 'only the gateway may write it';
  return 'named by Connection';
}

/**
 * The folded names in `Connection`, which the next hop would drop. They are dropped before the gateway adds its own
 * headers: otherwise a client could name ours (CVE-2024-45410, CVE-2025-48865).
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
