import type { UpstreamRequest } from './request-head.ts';

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

/** One request and its response. */
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
