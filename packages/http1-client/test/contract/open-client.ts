import type { Readable } from 'node:stream';
import { Pool } from 'undici';
import { ConnectionPool } from '../../src/connection-pool.ts';
import type { DispatchController, Dispatcher, DispatchHandler } from '../../src/dispatcher.ts';
import { createSocketOpener, undiciConnector } from '../../src/open-socket.ts';
import { latin1Fields } from '../../src/pooled-request.ts';
import { type Failure, failureOf } from './failure.ts';

export type ClientName = 'own' | 'undici';

export type TlsSettings = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

export type Settings = Readonly<{
  maxConnections?: number;
  connectMs?: number;
  headMs?: number;
  bodyMs?: number;
  idleMs?: number;
  tls?: () => TlsSettings;
}>;

export type RequestToSend = Readonly<{
  method?: string;
  path?: string;
  headers?: readonly string[];
  body?: Buffer | Readable;
  bodyLength?: number;
  /** Called with the response status. If it throws, the exchange ends. */
  onHead?: (status: number) => void;
  /** Called with each part of a body. If it returns false, the body pauses until `resume`. */
  onData?: (chunk: Buffer) => boolean;
}>;

/** What a caller observed in one exchange. */
export type Outcome = {
  status?: number;
  /** Alternating names and values. */
  headers?: readonly string[];
  body: string;
  trailers?: readonly string[];
  failure?: Failure;
  error?: unknown;
};

export type SentRequest = Readonly<{
  /** Settles when the exchange is over, even after an error. */
  outcome: Promise<Outcome>;
  abort(reason: Error): void;
  resume(): void;
}>;

export type OpenClient = Readonly<{
  send(request?: RequestToSend): SentRequest;
  close(): Promise<void>;
}>;

/** Opens an upstream client for one origin. */
export function openClient(name: ClientName, origin: string, settings: Settings = {}): OpenClient {
  const { maxConnections = 10, connectMs = 1_000, headMs = 2_000, bodyMs = 2_000, idleMs = 4_000, tls } = settings;
  const opener = createSocketOpener({ origin, connectTimeoutMs: connectMs, tls });
  const options = {
    connections: maxConnections,
    headersTimeout: headMs,
    bodyTimeout: bodyMs,
    keepAliveTimeout: idleMs,
  };
  const dispatcher: Dispatcher =
    name === 'own'
      ? new ConnectionPool(origin, { ...options, opener })
      : new Pool(origin, { ...options, connect: undiciConnector(opener), allowH2: false });
  return {
    send: (request = {}) => send(dispatcher, request),
    close: () => dispatcher.destroy(),
  };
}

function send(dispatcher: Dispatcher, request: RequestToSend): SentRequest {
  const { method = 'GET', path = '/', headers = [], body = null, bodyLength } = request;
  const collector = new Collector(request);
  const length = bodyLength === undefined ? [] : ['content-length', String(bodyLength)];
  dispatcher.dispatch({ method, path, headers: [...headers, ...length], body }, collector);
  return collector;
}

/** Collects the calls of one exchange into an outcome. */
class Collector implements DispatchHandler, SentRequest {
  readonly outcome: Promise<Outcome>;
  readonly #request: RequestToSend;
  readonly #seen: Outcome = { body: '' };
  #controller: DispatchController | undefined;
  #aborted: Error | undefined;
  #settle: (outcome: Outcome) => void = () => {};

  constructor(request: RequestToSend) {
    this.#request = request;
    this.outcome = new Promise((resolve) => {
      // undici reuses a connection only one turn of the event loop later.
      this.#settle = (outcome) => setImmediate(() => setImmediate(resolve, outcome));
    });
  }

  readonly resume = (): void => this.#controller?.resume();

  /** If the request has no connection yet, it is dropped when its turn comes. */
  abort(reason: Error): void {
    this.#aborted = reason;
    if (this.#controller === undefined) this.onResponseError(null, reason);
    else this.#controller.abort(reason);
  }

  onRequestStart(controller: DispatchController): void {
    this.#controller = controller;
    if (this.#aborted !== undefined) controller.abort(this.#aborted);
  }

  onResponseStart({ rawHeaders }: DispatchController, status: number): void {
    if (status < 200) return;
    this.#seen.status = status;
    this.#seen.headers = latin1Fields(rawHeaders);
    this.#request.onHead?.(status);
  }

  onResponseData(controller: DispatchController, chunk: Buffer): void {
    this.#seen.body += chunk.toString('latin1');
    if (this.#request.onData?.(chunk) === false) controller.pause();
  }

  onResponseEnd({ rawTrailers }: DispatchController): void {
    this.#settle({ ...this.#seen, trailers: latin1Fields(rawTrailers) });
  }

  onResponseError(_controller: DispatchController | null, error: unknown): void {
    this.#settle({ ...this.#seen, failure: failureOf(error), error });
  }
}
