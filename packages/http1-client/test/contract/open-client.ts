import type { Readable } from 'node:stream';
import { ConnectionPool } from '../../src/connection-pool.ts';
import { createSocketOpener } from '../../src/open-socket.ts';
import type { ResponseHandler } from '../../src/upstream-exchange.ts';
import { type Failure, failureOf } from './failure.ts';

export type TlsSettings = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

export type Settings = Readonly<{
  maxConnections?: number;
  /** For connecting, and for waiting for a connection. */
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
  /** Called with the head of the response. What it throws ends the exchange. */
  onHead?: (status: number) => void;
  /** Called with each part of a body. False pauses it until `resume`. */
  onData?: (chunk: Buffer) => boolean;
}>;

/** What a caller learned of one exchange. */
export type Outcome = {
  status?: number;
  /** Names and values in turn. */
  headers?: readonly string[];
  body: string;
  trailers?: readonly string[];
  failure?: Failure;
  error?: unknown;
};

export type SentRequest = Readonly<{
  /** Settles when the exchange is over, with an error too. */
  outcome: Promise<Outcome>;
  abort(reason: Error): void;
  resume(): void;
}>;

export type OpenClient = Readonly<{
  send(request?: RequestToSend): SentRequest;
  close(): Promise<void>;
}>;

/** Opens a client for one origin. */
export function openClient(origin: string, settings: Settings = {}): OpenClient {
  const { maxConnections = 10, connectMs = 1_000, headMs = 2_000, bodyMs = 2_000, idleMs = 4_000, tls } = settings;
  const pool = new ConnectionPool({
    host: new URL(origin).host,
    opener: createSocketOpener({ origin, connectTimeoutMs: connectMs, tls }),
    maxConnections,
    queueTimeoutMs: connectMs,
    headTimeoutMs: headMs,
    bodyTimeoutMs: bodyMs,
    idleTimeoutMs: idleMs,
  });
  return {
    send: (request = {}) => send(pool, request),
    async close() {
      pool.destroy();
      await pool.close();
    },
  };
}

function send(pool: ConnectionPool, request: RequestToSend): SentRequest {
  const { method = 'GET', path = '/', headers = [], body = null, bodyLength } = request;
  const collector = new Collector(request);
  const exchange = pool.send({ method, path, headers, body, bodyLength }, collector);
  return {
    outcome: collector.outcome,
    abort: (reason) => exchange.abort(reason),
    resume: () => exchange.resume(),
  };
}

/** Collects an exchange's calls into an outcome. */
class Collector implements ResponseHandler {
  readonly outcome: Promise<Outcome>;
  readonly #request: RequestToSend;
  readonly #seen: Outcome = { body: '' };
  #settle: (outcome: Outcome) => void = () => {};

  constructor(request: RequestToSend) {
    this.#request = request;
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  onSent(): void {}

  onHead(status: number, headers: readonly string[]): void {
    this.#seen.status = status;
    this.#seen.headers = headers;
    this.#request.onHead?.(status);
  }

  onData(chunk: Buffer): boolean {
    this.#seen.body += chunk.toString('latin1');
    return this.#request.onData?.(chunk) ?? true;
  }

  onEnd(trailers: readonly string[]): void {
    this.#settle({ ...this.#seen, trailers });
  }

  onError(error: unknown): void {
    this.#settle({ ...this.#seen, failure: failureOf(error), error });
  }
}
