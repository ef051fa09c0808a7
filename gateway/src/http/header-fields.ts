import type { IncomingMessage } from 'node:http';
import { foldHeaderName } from '@countersign/identity';
import { trimOws } from '@countersign/jwks';

/**
 * Hop-by-hop headers, which a proxy never forwards in requests or responses: RFC 9110 section 7.6.1, and names that
 * older proxies treat the same way. The gateway itself handles `Expect`.
 */
export const hopByHop: ReadonlySet<string> = new Set(
  (
    'connection proxy-connection keep-alive te trailer transfer-encoding upgrade http2-settings ' +
    'proxy-authenticate proxy-authorization expect'
  ).split(' '),
);

/**
 * Returns the folded names in `Connection`, which the next hop would drop. Callers drop these headers before the
 * gateway adds its own. Otherwise a sender could name ours (CVE-2024-45410, CVE-2025-48865).
 */
export function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close' || connection === 'Upgrade')
    return undefined;
  return new Set(connection.split(',').map((token) => foldHeaderName(trimOws(token))));
}

/** Whether the headers announce a body: a chunked one, or one with a length above zero. */
export const hasBody = ({ headers }: Pick<IncomingMessage, 'headers'>): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;

/** Turns alternating names and values into an object for `writeHead`. */
export function headersFrom(flat: readonly string[] = []): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
  return headers;
}

/** Copies alternating names and values, and leaves out the headers with these folded names. */
export function withoutHeaders(flat: readonly string[], folded: ReadonlySet<string>): string[] {
  return flat.filter((_, at) => !folded.has(foldHeaderName(flat[at - (at % 2)] ?? '')));
}

// Clients choose some of the names, so the cache is limited.
const maxNames = 1_000;

/** Caches a function of a header name, for the first 1,000 names. */
export function rememberNames<Result extends NonNullable<unknown>>(
  resultOf: (name: string) => Result,
): (name: string) => Result {
  const known = new Map<string, Result>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const result = resultOf(name);
    // Copied, because the name may be a slice of a whole request head, which would then stay in memory.
    if (known.size < maxNames) known.set(Buffer.from(name, 'latin1').toString('latin1'), result);
    return result;
  };
}
