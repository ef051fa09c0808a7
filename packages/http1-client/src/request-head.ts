import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { DispatchOptions, Exchange } from './dispatcher.ts';
import { ExchangeError } from './exchange-error.ts';
import { token } from './token.ts';
import { Upload, type UploadOwner } from './upload.ts';

// RFC 9112 section 3. Characters above 0xff would be cut to one byte, which could be a CR or LF.
const isPath = /^[\x21-\x7e\x80-\xff]+$/;
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

// Names that passed the checks. Clients choose some of them, so their number is bounded.
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
export function requestHead(request: DispatchOptions, own: string): string {
  const { method, path, headers, trustedFrom = headers.length, body } = request;
  if (!token.test(method) || method === 'CONNECT') throw invalid('an invalid method');
  if (!isPath.test(path)) throw invalid('an invalid path');
  if (headers.length % 2 !== 0) throw invalid('a header without a value');
  let head = `${method} ${path} HTTP/1.1\r\n${own}`;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (!goodNames.has(name)) checkName(name, body);
    if (at < trustedFrom && isNoValue.test(value)) throw invalid('an invalid header value');
    head += `${name}: ${value}\r\n`;
  }
  return `${head}${framing(method, headers, body)}\r\n`;
}

function framing(method: string, headers: readonly string[], body: DispatchOptions['body']): string {
  if (body === null) return expectsBody.has(method) ? 'content-length: 0\r\n' : '';
  if (body instanceof Uint8Array) return `content-length: ${body.length}\r\n`;
  return streamLength(headers) === undefined ? 'transfer-encoding: chunked\r\n' : '';
}

/** The `Content-Length` of a streamed body. */
function streamLength(headers: readonly string[]): number | undefined {
  let length: number | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== 'content-length') continue;
    if (length !== undefined || !/^[0-9]{1,15}$/.test(headers[at + 1] ?? '')) throw invalid('an invalid body length');
    length = Number(headers[at + 1]);
  }
  return length;
}

function checkName(name: string, body: DispatchOptions['body']): void {
  if (!token.test(name)) throw invalid('an invalid header name');
  const lower = name.toLowerCase();
  if (lower === 'content-length' && body instanceof Readable) return;
  if (refusedNames.has(lower)) throw invalid('a header that the client itself writes');
  if (goodNames.size < maxGoodNames) goodNames.add(name);
}

const invalid = (reason: string): ExchangeError =>
  new ExchangeError('UPSTREAM_INVALID_REQUEST', `the request has ${reason}`);

// Up to this size head and body are one write.
const maxJoinedBytes = 16 * 1024;
const sliceBytes = 64 * 1024;

/** @returns The upload that is to be started; undefined if the whole request was written. */
export function writeRequest({ head, request }: Exchange, socket: Socket, owner: UploadOwner): Upload | undefined {
  const { body, headers } = request;
  if (body === null) {
    socket.write(head, 'latin1');
    return undefined;
  }
  if (!(body instanceof Uint8Array)) return new Upload(body, streamLength(headers), socket, owner);
  if (body.length > maxJoinedBytes) return new Upload(Readable.from(slices(body)), body.length, socket, owner);
  socket.write(join(head, body));
  return undefined;
}

function join(head: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 'latin1');
  bytes.set(body, head.length);
  return bytes;
}

/** Slices show whether the service still reads a large body. */
function* slices(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += sliceBytes) yield body.subarray(at, at + sliceBytes);
}
