import { foldHeaderName, isReservedHeader } from '@countersign/identity';
import { AppError } from '../errors.ts';

/**
 * What happens to an inbound header: it is forwarded, dropped, or read by the gateway, in which case this is its name.
 * Names match exactly: `Content_Length` is not `Content-Length`, and is dropped.
 */
type Disposition = 'pass' | 'drop' | ReadHeader;

/** The headers that the gateway reads itself. One fixed shape for every request. */
const noHeaders = () => ({
  host: undefined as string | undefined,
  authorization: undefined as string | undefined,
  dpop: undefined as string | undefined,
  cookie: undefined as string | undefined,
  'content-length': undefined as string | undefined,
  'content-type': undefined as string | undefined,
  'content-encoding': undefined as string | undefined,
  'transfer-encoding': undefined as string | undefined,
  connection: undefined as string | undefined,
  'sec-websocket-key': undefined as string | undefined,
  'sec-websocket-version': undefined as string | undefined,
  'sec-websocket-protocol': undefined as string | undefined,
  'x-forwarded-for': undefined as string | undefined,
  origin: undefined as string | undefined,
});

type ReadHeader = keyof ReturnType<typeof noHeaders>;

/** How the values of a repeated header are joined. Other headers must not repeat: see {@link InboundHeaders}. */
const joinedBy: Readonly<Partial<Record<ReadHeader, string>>> = {
  cookie: '; ',
  connection: ',',
  'sec-websocket-protocol': ',',
  'x-forwarded-for': ',',
};

const maxHeaders = 100;
const maxHeaderBytes = 12 * 1024;

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
  const read: ReadonlySet<string> = new Set(Object.keys(noHeaders()));
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

/** The headers of one request. */
export type InboundHeaders = Readonly<{
  /** The headers that may be forwarded, alternating names and values. */
  passing: string[];
  /** The headers that the gateway reads. A list that came in several headers is joined. */
  read: Readonly<Record<ReadHeader, string | undefined>>;
}>;

/**
 * Sorts the headers of a request.
 *
 * @throws AppError `headers_too_large`. `invalid_host` and `invalid_request` for a repeated header that is not a list:
 *   some readers take the first value, others the last (RFC 9110 section 5.3).
 */
export function sortHeaders(
  rawHeaders: readonly string[],
  dispositionOf: (rawName: string) => Disposition,
): InboundHeaders {
  if (rawHeaders.length > maxHeaders * 2) throw new AppError('headers_too_large', { detail: { reason: 'count' } });
  const passing: string[] = [];
  const read = noHeaders();
  let bytes = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    const value = rawHeaders[at + 1] as string;
    bytes += name.length + value.length + 4;
    const disposition = dispositionOf(name);
    if (disposition === 'pass') passing.push(name, value);
    else if (disposition !== 'drop') {
      const before = read[disposition];
      read[disposition] = before === undefined ? value : joined(disposition, before, value);
    }
  }
  if (bytes > maxHeaderBytes) throw new AppError('headers_too_large', { detail: { reason: 'bytes' } });
  return { passing, read };
}

function joined(header: ReadHeader, before: string, value: string): string {
  const separator = joinedBy[header];
  if (separator !== undefined) return before + separator + value;
  throw header === 'host'
    ? new AppError('invalid_host')
    : new AppError('invalid_request', { detail: { reason: 'repeated header', header } });
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
export function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close' || connection === 'Upgrade')
    return undefined;
  return new Set(connection.split(',').map((token) => foldHeaderName(token.trim())));
}
