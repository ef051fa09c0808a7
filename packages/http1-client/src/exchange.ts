import type { DispatchController, DispatchHandler, DispatchOptions } from './dispatcher.ts';

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
  aborted = false;
  reason: Error | null = null;

  constructor(request: DispatchOptions, handler: DispatchHandler) {
    this.request = request;
    this.handler = handler;
  }

  abort(reason: Error): void {
    if (this.isOver || this.aborted) return;
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
