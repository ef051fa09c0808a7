import type { Readable } from 'node:stream';
import type { Dispatcher, Pool } from 'undici';
import type { Outbound } from '../../exchange.ts';

/** What happens to a request at its service, in this order. `onEnd` or `onError` comes last, exactly once. */
export type UpstreamEvents = {
  /** The request has a connection, and is written next. */
  onConnected(): void;
  /** The first byte of the response arrived. */
  onFirstByte(): void;
  /**
   * Called for 1xx responses too. An error that it throws aborts the request, and reaches `onError`.
   *
   * @param rawHeaders Names and values in turn, in Latin-1, which keeps every byte.
   */
  onHead(status: number, rawHeaders: readonly string[]): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(error: Error): void;
};

export type Upload = Readonly<{ stream: Readable; length: number | undefined }>;

/** The only file that sends requests with undici. One request on its way to a service. */
export class UpstreamRequest implements Dispatcher.DispatchHandler {
  readonly #events: UpstreamEvents;
  #controller: Dispatcher.DispatchController | undefined;
  #isAbandoned = false;

  constructor(events: UpstreamEvents) {
    this.#events = events;
  }

  /** @param upload The body, where the outbound leaves it to be streamed. Without a length it is sent in chunks. */
  send(pool: Pool, { method, target, headers, body }: Outbound, upload?: Upload): void {
    if (upload === undefined) {
      // undici reads this list, and does not change it.
      pool.dispatch(
        { method, path: target, headers: headers as string[], body: (body as Buffer | undefined) ?? null },
        this,
      );
      return;
    }
    const length = upload.length === undefined ? [] : ['content-length', String(upload.length)];
    pool.dispatch({ method, path: target, headers: [...headers, ...length], body: upload.stream }, this);
  }

  /** Ends the request with this error, even if it is still waiting for a connection. */
  abort(reason: Error): void {
    if (this.#controller !== undefined) {
      this.#controller.abort(reason);
      return;
    }
    if (this.#isAbandoned) return;
    this.#isAbandoned = true;
    this.#events.onError(reason);
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Throwing keeps the socket usable for the next request; aborting would not.
    if (this.#isAbandoned) throw new Error('the request was given up while it was queued');
    this.#controller = controller;
    this.#events.onConnected();
  }

  onResponseStarted(): void {
    this.#events.onFirstByte();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = (controller.rawHeaders ?? []) as readonly (string | Buffer)[];
    const headers: string[] = [];
    for (let at = 0; at < raw.length; at += 1) {
      const part = raw[at] as string | Buffer;
      headers.push(typeof part === 'string' ? part : part.toString('latin1'));
    }
    this.#events.onHead(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#events.onData(chunk);
  }

  onResponseEnd(): void {
    this.#events.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#isAbandoned) this.#events.onError(error);
  }
}
