import type { Readable } from 'node:stream';
import { ExchangeError } from './exchange-error.ts';

export type UpstreamRequest = Readonly<{
  method: string;
  /** Path and query. */
  path: string;
  /**
   * Alternating names and values, written as they are. The client itself writes `Host`, `Connection`, `Content-Length` and
   * `Transfer-Encoding`, and refuses requests that have them here.
   */
  headers: readonly string[];
  /** Bytes are sent with the head. A stream is sent as it flows, and destroyed if the exchange ends first. */
  body: Uint8Array | Readable | null;
  /** Of a streamed body. If undefined, it is sent in chunks. */
  bodyLength?: number | undefined;
  /** Instead of that of the pool. */
  headTimeoutMs?: number | undefined;
  /** Instead of that of the pool. */
  bodyTimeoutMs?: number | undefined;
}>;

// RFC 9112 section 3. Characters above 0xff would be cut to one byte, which could be a CR or LF.
const isMethod = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const isPath = /^[\x21-\x7e\x80-\xff]+$/;
const isFieldName = isMethod;
const isNoValue = /[^\t\x20-\x7e\x80-\xff]/;

/** The client writes these, or they would change how the connection or the response is read. */
const refusedNames: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'expect',
]);

// Names that passed the checks. Clients choose some of them, so the cache is bounded.
const goodNames = new Set<string>();
const maxGoodNames = 1_000;

/** Services expect a length with these methods, even of an empty body (RFC 9110 section 8.6). */
const expectsBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * Writes the head of a request, framing included.
 *
 * @param own Whole lines with `Host` and `Connection`.
 * @returns Text in Latin-1.
 * @throws ExchangeError `UPSTREAM_INVALID_REQUEST`.
 */
export function requestHead({ method, path, headers, body, bodyLength }: UpstreamRequest, own: string): string {
  if (!isMethod.test(method) || method === 'CONNECT') throw invalid('an invalid method');
  if (!isPath.test(path)) throw invalid('an invalid path');
  if (headers.length % 2 !== 0) throw invalid('a header without a value');
  let head = `${method} ${path} HTTP/1.1\r\n${own}`;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (!goodNames.has(name)) checkName(name);
    if (isNoValue.test(value)) throw invalid('an invalid header value');
    head += `${name}: ${value}\r\n`;
  }
  return `${head}${framing(method, body, bodyLength)}\r\n`;
}

function framing(method: string, body: UpstreamRequest['body'], bodyLength: number | undefined): string {
  if (body === null) return expectsBody.has(method) ? 'content-length: 0\r\n' : '';
  const length = body instanceof Uint8Array ? body.length : bodyLength;
  if (length === undefined) return 'transfer-encoding: chunked\r\n';
  if (!Number.isSafeInteger(length) || length < 0) throw invalid('an invalid body length');
  return `content-length: ${length}\r\n`;
}

function checkName(name: string): void {
  if (!isFieldName.test(name)) throw invalid('an invalid header name');
  if (refusedNames.has(name.toLowerCase())) throw invalid('a header that the client itself writes');
  if (goodNames.size < maxGoodNames) goodNames.add(name);
}

const invalid = (reason: string): ExchangeError =>
  new ExchangeError('UPSTREAM_INVALID_REQUEST', `the request has ${reason}`);
