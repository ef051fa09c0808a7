import type { Readable } from 'node:stream';
import { toUpstreamError } from '../../src/upstreams/pool/upstream-error.ts';

/** An HTTP client under test. Both have the same contract, so that either can serve the gateway. */
export type Subject = Readonly<{ name: 'undici' | 'client'; open(settings: SubjectSettings): OpenSubject }>;

export type SubjectSettings = Readonly<{
  origin: string;
  maxConnections?: number;
  /** For connecting, and for waiting for a connection. */
  connectMs?: number;
  headMs?: number;
  bodyMs?: number;
  idleMs?: number;
  tls?: () => TlsSettings;
}>;

export type TlsSettings = Readonly<{ ca?: string; cert?: string; key?: string; servername?: string }>;

export const defaults = { maxConnections: 10, connectMs: 1_000, headMs: 2_000, bodyMs: 2_000, idleMs: 4_000 };

export type SubjectRequest = Readonly<{
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

export type OpenSubject = Readonly<{
  send(request?: SubjectRequest): SentRequest;
  close(): Promise<void>;
}>;

export type SentRequest = Readonly<{
  /** Settles when the exchange is over, with an error too. */
  outcome: Promise<Outcome>;
  abort(reason: Error): void;
  resume(): void;
}>;

/** What a caller learned of one exchange. */
export type Outcome = {
  status?: number;
  /** Names and values in turn. */
  headers?: readonly string[];
  body: string;
  trailers?: readonly string[];
  /** The gateway's code of the failure. */
  code?: string;
  error?: unknown;
};

/** Collects an exchange's calls into an outcome. */
export class Collector {
  readonly outcome: Promise<Outcome>;
  readonly #request: SubjectRequest;
  readonly #seen: Outcome = { body: '' };
  #isSent = false;
  #settle: (outcome: Outcome) => void = () => {};

  constructor(request: SubjectRequest) {
    this.#request = request;
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  sent(): void {
    this.#isSent = true;
  }

  head(status: number, headers: readonly string[]): void {
    this.#seen.status = status;
    this.#seen.headers = headers;
    this.#request.onHead?.(status);
  }

  /** @returns False to pause. */
  data(chunk: Buffer): boolean {
    this.#seen.body += chunk.toString('latin1');
    return this.#request.onData?.(chunk) ?? true;
  }

  end(trailers: readonly string[]): void {
    this.#settle({ ...this.#seen, trailers });
  }

  failed(error: unknown): void {
    const { code } = toUpstreamError(error, { upstream: 'a', target: 'b', isConnected: this.#isSent });
    this.#settle({ ...this.#seen, code, error });
  }
}
