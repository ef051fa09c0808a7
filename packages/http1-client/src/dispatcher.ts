import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

/** The part of undici's `Dispatcher` that the gateway uses. `ConnectionPool` and undici's `Pool` both have it. */
export interface Dispatcher {
  /**
   * Sends a request, as soon as there is a connection. Failures reach the handler, and may do so before this returns.
   *
   * @returns False if the request waits for a connection.
   */
  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean;
  /** Refuses new requests. Closes idle connections now, and others after their exchanges. */
  close(): Promise<void>;
  /** Closes all connections now. Unfinished exchanges fail. */
  destroy(): Promise<void>;
}

export type DispatchOptions = Readonly<{
  method: string;
  /** Path and query. */
  path: string;
  /**
   * Alternating names and values, written as they are. The client writes `Host`, `Connection` and the framing, and refuses
   * requests that have them here, with one exception: `Content-Length` of a streamed body. Without it, a stream is sent
   * in chunks.
   */
  headers: string[];
  /** The index in `headers` from which the values need no check, because the caller has made them. undici checks all. */
  trustedFrom?: number;
  /** Bytes are sent with the head. A stream is sent as it flows, and destroyed if the exchange ends first. */
  body: Uint8Array | Readable | null;
  /** Milliseconds, instead of those of the pool. */
  headersTimeout?: number;
  bodyTimeout?: number;
}>;

/**
 * Gets one response. `onResponseEnd` or `onResponseError` is called exactly once, and is the last call. An exception of
 * another method ends the exchange, and is passed to `onResponseError`.
 */
export interface DispatchHandler {
  /** The request is about to be written. An abort here leaves the connection usable. */
  onRequestStart(controller: DispatchController, context: unknown): void;
  /** The first bytes of a response arrived. The service has acted on the request. */
  onResponseStarted?(): void;
  /**
   * Read the headers from `controller.rawHeaders`: this client parses neither `headers` nor `statusMessage`. undici also
   * calls this for informational responses.
   */
  onResponseStart(controller: DispatchController, status: number, headers: unknown, statusMessage?: string): void;
  /** The rest of the response may follow after `controller.pause`, if it has arrived already. */
  onResponseData(controller: DispatchController, chunk: Buffer): void;
  onResponseEnd(controller: DispatchController, trailers: unknown): void;
  /**
   * @param controller Null or unused if the request was never started.
   * @param error ExchangeError, an error of the system or of TLS, or what `abort` was called with.
   */
  onResponseError(controller: DispatchController | null, error: unknown): void;
}

/** Alternating names and values. undici has them as Buffers. */
type RawFields = Buffer[] | string[] | IncomingHttpHeaders | null;

/** Controls one exchange. */
export interface DispatchController {
  rawHeaders?: RawFields;
  rawTrailers?: RawFields;
  /** Ends the exchange, wherever it is. Harmless when it is over. */
  abort(reason: Error): void;
  /** Called in `onResponseStart` and `onResponseData`: reads no more until `resume`. */
  pause(): void;
  resume(): void;
}

/** Names and values as strings in Latin-1. They may be slices of one string, which a cache would keep. */
export function latin1Fields(raw: RawFields | undefined): string[] {
  if (!Array.isArray(raw)) return [];
  if (typeof raw[0] === 'string') return raw as string[];
  return raw.map((field) => (field as Buffer).toString('latin1'));
}

/** The connection that carries an exchange. */
export interface Carrier {
  abort(reason: unknown): void;
  resume(): void;
}

/** One request and its response. */
export class Exchange implements DispatchController {
  readonly request: DispatchOptions;
  readonly handler: DispatchHandler;
  /** The head of the request, as it is written. */
  head = '';
  /** Undefined while the request is queued. */
  connection: Carrier | undefined;
  /** The handler got its last call. */
  isOver = false;
  rawHeaders: string[] | null = null;
  rawTrailers: string[] | null = null;
  paused = false;

  constructor(request: DispatchOptions, handler: DispatchHandler) {
    this.request = request;
    this.handler = handler;
  }

  abort(reason: Error): void {
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

  /** For the pool and the connection: makes the last call. */
  fail(error: unknown): void {
    if (this.isOver) return;
    this.#finish();
    this.handler.onResponseError(this, error);
  }

  /** For the connection: makes the last call. */
  end(trailers: string[]): void {
    if (this.isOver) return;
    this.#finish();
    this.rawTrailers = trailers;
    this.handler.onResponseEnd(this, trailers);
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
