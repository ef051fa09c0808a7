import { validateHeaderName, validateHeaderValue } from 'node:http';
import { ReceivedMessage } from './received-message.ts';

/** Field numbers in the public proto, `envoy/service/auth/v3` and `envoy/config/core/v3`. */
const fields = {
  checkRequest: { attributes: 1 },
  attributes: { source: 1, request: 4 },
  peer: { address: 1 },
  address: { socketAddress: 1 },
  socketAddress: { protocol: 1, address: 2 },
  request: { http: 2 },
  http: {
    method: 2,
    headers: 3,
    path: 4,
    host: 5,
    scheme: 6,
    query: 7,
    fragment: 8,
    size: 9,
    body: 11,
    rawBody: 12,
    headerMap: 13,
  },
  headerMap: { headers: 1 },
  headerValue: { key: 1, value: 2, rawValue: 3 },
} as const;

/** The request that Envoy asks about. Texts have one character per byte. */
export type CheckedRequest = Readonly<{
  method: string;
  /** The path with the query, not decoded. */
  path: string;
  host: string;
  scheme: string;
  /** `source.address`. Empty if it is not a network address. */
  address: string;
  /** Alternating names, in lower case, and values. Excludes pseudo-headers. */
  headers: readonly string[];
  /** Whether repeated headers were joined with a comma, because Envoy runs without `encode_raw_headers`. */
  isMerged: boolean;
  body: Buffer;
  /** How many body bytes Envoy has received so far. */
  size: number;
}>;

/**
 * Reads a `CheckRequest`.
 *
 * @throws Error if the bytes are not such a message, or if two readers could understand them differently. The error
 *   message
 *   says why.
 */
export function readCheckRequest(bytes: Buffer): CheckedRequest {
  const attributes = new ReceivedMessage(bytes).message(fields.checkRequest.attributes);
  const peer = attributes.message(fields.attributes.source).message(fields.peer.address);
  const source = peer.message(fields.address.socketAddress);
  // The gateway knows only TCP and UDP.
  if (source.number(fields.socketAddress.protocol) > 1) throw new Error('unknown source protocol');
  const http = attributes.message(fields.attributes.request).message(fields.request.http);
  const { query, fragment } = fields.http;
  // The path already includes the query. A reader that joins both would see another request target.
  if (http.bytes(query).length > 0 || http.bytes(fragment).length > 0) throw new Error('a separate query');
  const line = {
    method: http.text(fields.http.method),
    path: http.text(fields.http.path),
    host: http.text(fields.http.host),
    scheme: http.text(fields.http.scheme),
  };
  return {
    ...line,
    ...headersOf(http, { ':method': line.method, ':path': line.path, ':authority': line.host, ':scheme': line.scheme }),
    address: source.text(fields.socketAddress.address),
    body: http.bytes(either(http, fields.http.rawBody, fields.http.body)),
    size: http.number(fields.http.size),
  };
}

/** @param pseudo Pseudo-headers, which the message also contains among the headers. */
function headersOf(http: ReceivedMessage, pseudo: Readonly<Record<string, string>>) {
  const merged = http.messages(fields.http.headers);
  const raw = http.message(fields.http.headerMap).messages(fields.headerMap.headers);
  if (merged.length > 0 && raw.length > 0) throw new Error('both headers and header_map');
  const headers: string[] = [];
  for (const header of [...raw, ...merged]) {
    const name = header.text(fields.headerValue.key);
    const value = header.text(either(header, fields.headerValue.rawValue, fields.headerValue.value));
    // `:protocol` has no field, because a WebSocket over HTTP/2 has no key.
    if (name.startsWith(':') && value !== pseudo[name]) throw new Error(`another value of ${name}`);
    if (name.startsWith(':')) continue;
    validateHeaderName(name);
    validateHeaderValue(name, value);
    if (name !== name.toLowerCase()) throw new Error('a name in upper case');
    headers.push(name, value);
  }
  return { headers, isMerged: merged.length > 0 };
}

/** @returns The one of two fields that is present. */
function either(message: ReceivedMessage, one: number, other: number): number {
  if (message.bytes(one).length === 0) return other;
  if (message.bytes(other).length > 0) throw new Error(`both fields ${one} and ${other}`);
  return one;
}
