import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { Readable } from 'node:stream';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { RawRequest } from '../pipeline/exchange.ts';
import { readBody } from '../pipeline/read-body.ts';
import { singleHeaders } from '../pipeline/sanitize.ts';
import { type Allowed, type Denied, encodeResponse } from './check-response.ts';
import { type CallValues, type HeaderUses, originalRequest, refused } from './original-request.ts';

const checkPath = '/envoy.service.auth.v3.Authorization/Check';

export const isCheck = ({ method, url, headers }: Http2ServerRequest): boolean =>
  method === 'POST' && url === checkPath && /^application\/grpc(?:\+proto)?$/.test(headers['content-type'] ?? '');

// The size of the flag and the length.
const prefixBytes = 5;

const reading = {
  // The prefix and a 4 MiB message, which is gRPC's default limit.
  maxBytes: prefixBytes + 4 * 1024 * 1024,
  rate: { bytesPerSec: 0, windowMs: 10_000 },
  // Counts no bytes for the message. The body inside it counts once the client is known.
  held: { grow() {}, release() {} },
};

/** @throws AppError `decision_call_invalid`, `payload_too_large` for a message over 4 MiB, `request_timeout`. */
export async function readCheck(call: Http2ServerRequest, useOf: HeaderUses): Promise<RawRequest> {
  const checked = parse(await readBody(call, reading));
  const { path: requestTarget, headers, isMerged } = checked;
  // A comma may join two values from the client. The service would see both and could use either (CVE-2021-32777).
  const joined = headers.find((name, at) => at % 2 === 0 && singleHeaders.has(name) && headers[at + 1]?.includes(','));
  if (isMerged && joined !== undefined) throw refused('perhaps repeated', joined);
  return originalRequest({ ...checked, requestTarget, useOf, ...bodyOf(checked) });
}

/** @param body A call's whole body: one message, not compressed. */
function parse(body: Buffer): CheckedRequest {
  // A compressed message has another flag, and two messages have another length.
  if (body.length < prefixBytes || body[0] !== 0 || body.readUInt32BE(1) !== body.length - prefixBytes)
    throw refused('no message');
  try {
    return readCheckRequest(body.subarray(prefixBytes));
  } catch (error) {
    throw refused((error as Error).message);
  }
}

/** Returns the body as Envoy sends it, and its framing. */
function bodyOf({ headers, body, size }: CheckedRequest): Pick<CallValues, 'described' | 'stream'> {
  const valuesOf = (name: string) => headers.filter((_, at) => at % 2 === 1 && headers[at - 1] === name);
  const [length, ...more] = valuesOf('content-length');
  if (more.length > 0) throw refused('repeated', 'content-length');
  const stream = Object.assign(Readable.from([body]), { complete: true });
  if (body.length > 0) {
    if (size > body.length || (length ?? String(body.length)) !== String(body.length))
      throw refused('only a part of the body', 'content-length');
    return { described: ['content-length', String(body.length)], stream };
  }
  const isAnnounced = size > 0 || (length ?? '0') !== '0' || valuesOf('transfer-encoding').length > 0;
  if (!isAnnounced) return { described: [], stream };
  // A route that streams bodies does not need the bytes. On every other route, reading the destroyed stream fails.
  stream.destroy();
  return { described: length === undefined ? ['transfer-encoding', 'chunked'] : ['content-length', length], stream };
}

/** Sends the answer in one message. The status of the call is always 200: the message contains the refusal. */
export function answerCheck(response: Http2ServerResponse, answer: Allowed | Denied): void {
  const message = encodeResponse(answer);
  const frame = Buffer.alloc(prefixBytes + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixBytes);
  response.writeHead(200, { 'content-type': 'application/grpc' });
  response.addTrailers({ 'grpc-status': '0' });
  response.end(frame);
}

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
type CheckedRequest = Readonly<{
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

/** @throws Error with the reason, if two readers could understand the bytes differently. */
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

const noBytes = Buffer.alloc(0);

/** Throws for a field of another type, and for a single field that repeats, because readers could differ. */
class ReceivedMessage {
  readonly #fields = new Map<number, (Buffer | number)[]>();

  constructor(bytes: Buffer) {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (type === WireType.LengthDelimited) this.#add(field, asBuffer(reader.bytes()));
      else if (type === WireType.Varint) this.#add(field, Number(reader.int64()));
      else reader.skip(type, field);
    }
  }

  /** Returns 0 if the field is absent. */
  number(field: number): number {
    const value = this.#one(field) ?? 0;
    if (typeof value !== 'number') throw new Error(`field ${field} is not a number`);
    return value;
  }

  /** Returns an empty buffer if the field is absent. */
  bytes(field: number): Buffer {
    return bytesOf(this.#one(field) ?? noBytes);
  }

  /** Returns one character per byte. Empty if the field is absent. */
  text(field: number): string {
    return this.bytes(field).toString('latin1');
  }

  /** Returns a message without fields if the field is absent. */
  message(field: number): ReceivedMessage {
    return new ReceivedMessage(this.bytes(field));
  }

  messages(field: number): readonly ReceivedMessage[] {
    return (this.#fields.get(field) ?? []).map((value) => new ReceivedMessage(bytesOf(value)));
  }

  #add(field: number, value: Buffer | number): void {
    const before = this.#fields.get(field);
    if (before === undefined) this.#fields.set(field, [value]);
    else before.push(value);
  }

  #one(field: number): Buffer | number | undefined {
    const [value, ...more] = this.#fields.get(field) ?? [];
    if (more.length > 0) throw new Error(`field ${field} repeats`);
    return value;
  }
}

function bytesOf(value: Buffer | number): Buffer {
  if (typeof value === 'number') throw new Error('a number instead of bytes');
  return value;
}

const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);
