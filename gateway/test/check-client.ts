import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

// Speaks Envoy's `Check` according to its public proto. The field numbers are repeated here, so that a wrong one in
// the gateway is detected.

type Field = readonly [number: number, value: string | number | Uint8Array | undefined];

/** Encodes a message. A field without a value is left out. */
export function message(...fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === 'number') writer.tag(number, WireType.Varint).int64(value);
    else if (typeof value === 'string') writer.tag(number, WireType.LengthDelimited).string(value);
    else if (value !== undefined) writer.tag(number, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

export type Check = Readonly<{
  method?: string;
  path?: string;
  host?: string;
  scheme?: string;
  query?: string;
  fragment?: string;
  size?: number;
  body?: string;
  rawBody?: string;
  /** The client's headers. Pseudo-headers are added. */
  headers?: readonly (readonly [name: string, value: string])[];
  /** Sends the headers as the map that Envoy uses with `encode_raw_headers: false`. */
  isMerged?: boolean;
  address?: string;
  protocol?: number;
  /** Other request fields. */
  more?: readonly Field[];
}>;

/** The `CheckRequest` that Envoy sends for a request. */
export function checkRequest(check: Check): Uint8Array {
  const {
    method = 'GET',
    path = '/v1/things/1',
    host = 'gateway.test',
    scheme = 'https',
    address = '192.0.2.7',
  } = check;
  const headers = [
    [':authority', host],
    [':path', path],
    [':method', method],
    [':scheme', scheme],
    ...(check.headers ?? []),
  ] as const;
  const entries = headers.map(([name, value]) =>
    message([1, name], check.isMerged === true ? [2, value] : [3, Buffer.from(value, 'latin1')]),
  );
  const http = message(
    [1, '1234567890'],
    [2, method],
    ...(check.isMerged === true
      ? entries.map((entry): Field => [3, entry])
      : [[13, message(...entries.map((entry): Field => [1, entry]))] as const]),
    [4, path],
    [5, host],
    [6, scheme],
    [7, check.query],
    [8, check.fragment],
    [9, check.size],
    [10, 'HTTP/2'],
    [11, check.body],
    [12, check.rawBody === undefined ? undefined : Buffer.from(check.rawBody)],
    ...(check.more ?? []),
  );
  const source = message([1, message([1, message([1, check.protocol], [2, address], [3, 51_234])])]);
  // `destination` and `time` too, which the gateway skips.
  const destination = message([1, message([1, message([2, '127.0.0.1'], [3, 443])])]);
  return message([
    1,
    message([1, source], [2, destination], [4, message([1, message([1, 1_700_000_000])], [2, http])]),
  ]);
}

/** The decoded fields of a message. */
function decode(bytes: Uint8Array): ReadonlyMap<number, readonly (Uint8Array | number)[]> {
  const fields = new Map<number, (Uint8Array | number)[]>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const value = type === WireType.Varint ? reader.int32() : reader.bytes();
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

const first = (bytes: Uint8Array | undefined, number: number): Uint8Array | undefined =>
  bytes === undefined ? undefined : (decode(bytes).get(number)?.[0] as Uint8Array | undefined);
const number = (bytes: Uint8Array | undefined, field: number): number =>
  bytes === undefined ? 0 : Number(decode(bytes).get(field)?.[0] ?? 0);
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

/** Each option as `[name, value, append_action]`. */
const options = (bytes: Uint8Array | undefined, field: number): (readonly [string, string, number])[] =>
  (bytes === undefined ? [] : (decode(bytes).get(field) ?? [])).map((option) => {
    const header = first(option as Uint8Array, 1);
    return [text(first(header, 1)), text(first(header, 2)), number(option as Uint8Array, 3)];
  });

export type Checked = Readonly<{
  httpStatus: number;
  grpcStatus: string | undefined;
  /** The status in the `CheckResponse`; 0 allows the request. Undefined if it has none. */
  code: number | undefined;
  set: Readonly<Record<string, string>>;
  remove: readonly string[];
  forClient: readonly (readonly [string, string, number])[];
  denied: Readonly<{ status: number; headers: Readonly<Record<string, string>>; code: string | undefined }> | undefined;
}>;

/** @param frame The bytes of the call, sent unchanged. */
export async function sendFrame(
  session: ClientHttp2Session,
  frame: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<Checked> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.auth.v3.Authorization/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': '500m',
    ...headers,
  });
  const chunks: Buffer[] = [];
  let trailers: Readonly<Record<string, unknown>> = {};
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('trailers', (received) => {
    trailers = received;
  });
  const responded = once(stream, 'response');
  if (stream.writable) stream.end(frame);
  const [response] = await responded;
  if (!stream.closed) await once(stream, 'close');
  const body = Buffer.concat(chunks);
  const isCheck = response['content-type'] === 'application/grpc';
  const answer = isCheck ? body.subarray(5) : undefined;
  const ok = first(answer, 3);
  const denied = first(answer, 2);
  return {
    httpStatus: response[':status'],
    grpcStatus: trailers['grpc-status'] as string | undefined,
    code: answer === undefined ? undefined : number(first(answer, 1), 1),
    set: Object.fromEntries(options(ok, 2).map(([name, value]) => [name, value])),
    remove: ok === undefined ? [] : (decode(ok).get(5) ?? []).map((name) => text(name as Uint8Array)),
    forClient: options(ok, 6),
    denied:
      denied === undefined
        ? undefined
        : {
            status: number(first(denied, 1), 1),
            headers: Object.fromEntries(options(denied, 2).map(([name, value]) => [name, value])),
            code: JSON.parse(text(first(denied, 3))).code,
          },
  };
}

/** Frames a message as gRPC does. */
export function framed(bytes: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, 5);
  return frame;
}

/** Opens a connection over cleartext HTTP/2, or TLS. */
export async function openSession(url: string, tls?: SecureClientSessionOptions): Promise<ClientHttp2Session> {
  const session = connect(url, tls);
  await once(session, 'remoteSettings');
  session.on('error', () => {});
  return session;
}
