import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { ExchangeError } from './exchange-error.ts';
import { Upload, type UploadOwner } from './upload.ts';

/**
 * Gets one response. `onEnd` or `onError` is called exactly once, and is the last call. An exception of another method
 * ends the exchange, and is passed to `onError`.
 */
export interface ResponseHandler {
  /** The request is about to be written. From now on the service may act on it. */
  onSent(): void;
  /** @param headers Alternating names and values, in Latin-1. They are slices of one string, which a cache would keep. */
  onHead(status: number, headers: string[]): void;
  /** @returns False to pause. `resume` continues, once this has returned. `onEnd` may follow without it. */
  onData(chunk: Buffer): boolean;
  /** Everything that arrived was passed on, and the response is not complete. */
  onPart?(): void;
  /** @param trailers Alternating names and values. */
  onEnd(trailers: readonly string[]): void;
  /** @param error ExchangeError, an error of the system or of TLS, or what `abort` was called with. */
  onError(error: unknown): void;
}

/** How far a request got: nothing sent, something sent, or a byte of the response received. */
export type ExchangeProgress = 'unsent' | 'sent' | 'responded';

/** The connection that carries an exchange. */
export interface Carrier {
  abort(reason: unknown): void;
  resume(): void;
}

/**
 * One request and its response on the service's side; the client's side is `Exchange` in exchange.ts. This file also
 * writes the request (`requestHead`, `writeRequest`). `response-head.ts` and `response-parser.ts` read the response.
 */
export class UpstreamExchange {
  readonly request: UpstreamRequest;
  readonly handler: ResponseHandler;
  /** The head of the request, as it is written. */
  readonly head: string;
  /** Undefined while the request is queued. */
  connection: Carrier | undefined;
  progress: ExchangeProgress = 'unsent';
  /** The handler got its last call. */
  isOver = false;
  /** When a queued request gives up, by the clock of the pool. */
  queuedUntilMs = Number.POSITIVE_INFINITY;

  constructor(request: UpstreamRequest, handler: ResponseHandler, head: string) {
    this.request = request;
    this.handler = handler;
    this.head = head;
  }

  /** Ends the exchange, wherever it is. Its connection closes if something was sent. Harmless when it is over. */
  abort(reason: unknown): void {
    if (this.isOver) return;
    if (this.connection === undefined) this.fail(reason);
    else this.connection.abort(reason);
  }

  /** Continues after `onData` returned false. */
  resume(): void {
    if (!this.isOver) this.connection?.resume();
  }

  /** For the pool and the connection: makes the last call. */
  fail(error: unknown): void {
    if (this.isOver) return;
    this.#finish();
    this.handler.onError(error);
  }

  /** For the connection: makes the last call. */
  end(trailers: readonly string[]): void {
    if (this.isOver) return;
    this.#finish();
    this.handler.onEnd(trailers);
  }

  #finish(): void {
    this.isOver = true;
    this.connection = undefined;
    const { body } = this.request;
    if (body === null || body instanceof Uint8Array || body.destroyed) return;
    // An error of the stream has no other listener from now on.
    body.on('error', () => {}).destroy();
  }
}

export type UpstreamRequest = Readonly<{
  method: string;
  /** Path and query. */
  path: string;
  /**
   * Alternating names and values, written as they are. The client itself writes `Host`, `Connection`, `Content-Length` and
   * `Transfer-Encoding`, and refuses requests that have them here.
   */
  headers: readonly string[];
  /** The index in `headers` from which the values need no check, because the caller has made them. Default: none. */
  trustedFrom?: number | undefined;
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
export function requestHead(request: UpstreamRequest, own: string): string {
  const { method, path, headers, trustedFrom = headers.length, body, bodyLength } = request;
  if (!isMethod.test(method) || method === 'CONNECT') throw invalid('an invalid method');
  if (!isPath.test(path)) throw invalid('an invalid path');
  if (headers.length % 2 !== 0) throw invalid('a header without a value');
  let head = `${method} ${path} HTTP/1.1\r\n${own}`;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (!goodNames.has(name)) checkName(name);
    if (at < trustedFrom && isNoValue.test(value)) throw invalid('an invalid header value');
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

// Up to this size head and body are one write.
const maxJoinedBytes = 16 * 1024;
const sliceBytes = 64 * 1024;

/** @returns The upload that is to be started; undefined if the whole request was written. */
export function writeRequest(
  { head, request }: UpstreamExchange,
  socket: Socket,
  owner: UploadOwner,
): Upload | undefined {
  const { body, bodyLength } = request;
  if (body === null) {
    socket.write(head, 'latin1');
    return undefined;
  }
  if (!(body instanceof Uint8Array)) return new Upload(body, bodyLength, socket, owner);
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
