import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { DispatchController, DispatchHandler, DispatchOptions } from './dispatcher.ts';
import { HttpClientError } from './http-client-error.ts';
import { token } from './token.ts';
import { createUpload, type Upload, type UploadOwner } from './upload.ts';

// A head and body of up to this size are sent in one write.
const maxJoinedBytes = 16 * 1024;
const sliceBytes = 64 * 1024;

/** Handlers read the controller's raw header lists instead. */
export const unparsed = {};

export class PooledRequest implements DispatchController {
  readonly options: DispatchOptions;
  readonly handler: DispatchHandler;
  head = '';
  connection: Readonly<{ abort(reason: unknown): void; resume(): void }> | undefined;
  /** Whether the handler has received its last call. */
  isOver = false;
  rawHeaders: string[] | null = null;
  rawTrailers: string[] | null = null;
  aborted = false;
  reason: Error | null = null;
  paused = false;

  constructor(options: DispatchOptions, handler: DispatchHandler) {
    this.options = options;
    this.handler = handler;
  }

  abort(reason: Error): void {
    this.aborted = true;
    this.reason = reason;
    this.connection?.abort(reason);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.connection?.resume();
  }

  /** Makes the last call. Only the pool and the connection use it. */
  fail(error: unknown): void {
    if (this.isOver) return;
    this.#finish();
    this.handler.onResponseError(this, error as Error);
  }

  /** Makes the last call. Only the connection uses it. */
  end(trailers: string[]): void {
    if (this.isOver) return;
    this.#finish();
    this.rawTrailers = trailers;
    this.handler.onResponseEnd(this, unparsed);
  }

  /** @returns The upload to start. Undefined if the whole request has been written. */
  write(socket: Socket, owner: UploadOwner): Upload | undefined {
    const { head } = this;
    const { body, headers } = this.options;
    if (body === null) socket.write(head, 'latin1');
    else if (!(body instanceof Uint8Array)) return createUpload(body, streamLength(headers), socket, owner);
    else if (body.length <= maxJoinedBytes) socket.write(join(head, body));
    else return createUpload(Readable.from(slices(body)), body.length, socket, owner);
    return undefined;
  }

  #finish(): void {
    this.isOver = true;
    this.connection = undefined;
    const { body } = this.options;
    if (body === null || body instanceof Uint8Array || body.destroyed) return;
    // From now on, nothing else listens for the stream's errors.
    body.on('error', () => {}).destroy();
  }
}

/** As Latin-1 strings. They may be slices of one string, which a cache would keep in memory. */
export function latin1Fields(raw: DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return [];
  if (typeof raw[0] === 'string') return raw as string[];
  return raw.map((field) => (field as Buffer).toString('latin1'));
}

// RFC 9112 section 3. Latin-1 keeps only the low byte of other characters, and that byte could be a CR or LF.
const isPath = /^[\x21-\x7e\x80-\xff]+$/;
const isNoValue = /[^\t\x20-\x7e\x80-\xff]/;

/** This package writes these headers, or they would change how the connection or the response is read. */
const refusedNames: ReadonlySet<string> = new Set(
  'host connection content-length transfer-encoding keep-alive proxy-connection upgrade expect'.split(' '),
);

// By names that passed the checks. Clients choose some of them, so the number is limited.
const lineStarts = new Map<string, string>();
const maxLineStarts = 1_000;

/** Services expect a length with these methods, even for an empty body (RFC 9110 section 8.6). */
const expectsBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** @param own Lines with `Host` and `Connection`, each after a CRLF. Throws `UPSTREAM_INVALID_REQUEST`. */
export function requestHead(request: DispatchOptions, own: string): string {
  const { method, path, headers, trustedFrom = headers.length, body } = request;
  if (!token.test(method) || method === 'CONNECT') throw invalid('an invalid method');
  if (!isPath.test(path)) throw invalid('an invalid path');
  if (headers.length % 2 !== 0) throw invalid('a header without a value');
  let head = `${method} ${path} HTTP/1.1${own}`;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    const lineStart = lineStarts.get(name) ?? startLine(name, body);
    if (at < trustedFrom && isNoValue.test(value)) throw invalid('an invalid header value');
    head += lineStart + value;
  }
  return `${head}${framing(method, headers, body)}\r\n\r\n`;
}

function framing(method: string, headers: readonly string[], body: DispatchOptions['body']): string {
  if (body === null) return expectsBody.has(method) ? '\r\ncontent-length: 0' : '';
  if (body instanceof Uint8Array) return `\r\ncontent-length: ${body.length}`;
  return streamLength(headers) === undefined ? '\r\ntransfer-encoding: chunked' : '';
}

function streamLength(headers: readonly string[]): number | undefined {
  let length: number | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== 'content-length') continue;
    if (length !== undefined || !/^[0-9]{1,15}$/.test(headers[at + 1] ?? '')) throw invalid('an invalid body length');
    length = Number(headers[at + 1]);
  }
  return length;
}

/** @returns The CRLF before the line, the name and the colon. */
function startLine(name: string, body: DispatchOptions['body']): string {
  if (!token.test(name)) throw invalid('an invalid header name');
  const lower = name.toLowerCase();
  const lineStart = `\r\n${name}: `;
  if (lower === 'content-length' && body instanceof Readable) return lineStart;
  if (refusedNames.has(lower)) throw invalid('a header that only the HTTP client may write');
  // Copied, because the name may be a slice of a whole request head, which would then stay in memory.
  const copy = Buffer.from(lineStart, 'latin1').toString('latin1');
  if (lineStarts.size < maxLineStarts) lineStarts.set(copy.slice(2, -2), copy);
  return copy;
}

const invalid = (reason: string): HttpClientError =>
  new HttpClientError('UPSTREAM_INVALID_REQUEST', `the request has ${reason}`);

function join(head: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 'latin1');
  bytes.set(body, head.length);
  return bytes;
}

/** Splits a large body, to find out whether the service still reads it. */
function* slices(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += sliceBytes) yield body.subarray(at, at + sliceBytes);
}
