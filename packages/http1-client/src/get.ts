import type { ConnectionPoolOptions } from './connection-pool.ts';
import type { DispatchController, Dispatcher, DispatchHandler } from './dispatcher.ts';
import { HttpClientError } from './http-client-error.ts';
import type { SocketOpener } from './open-socket.ts';
import { latin1Fields } from './pooled-request.ts';

export type GetOptions = Readonly<{
  /** Alternating names and values. */
  headers?: readonly string[];
  maxBodyBytes: number;
  /** What to do with a larger body. `cut` ends the request and returns what has been read. Default: `error`. */
  largerBody?: 'error' | 'cut';
  /** For the whole request, instead of the pool's timeouts. Also ends a response that arrives byte by byte. */
  timeoutMs: number;
  signal?: AbortSignal;
}>;

export type GotResponse = Readonly<{
  status: number;
  /** Alternating names and values. */
  headers: readonly string[];
  body: Buffer;
}>;

/** Gets a complete response with any status, without redirects. Throws HttpClientError or the signal's reason. */
export async function get(dispatcher: Dispatcher, path: string, options: GetOptions): Promise<GotResponse> {
  const { headers = [], timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const whole = new WholeResponse(options);
  const onAbort = () => whole.stop(signal?.reason);
  const timer = setTimeout(() => whole.stop(whole.timeout()), timeoutMs);
  signal?.addEventListener('abort', onAbort);
  const timeouts = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
  dispatcher.dispatch({ method: 'GET', path, headers: [...headers], body: null, ...timeouts }, whole);
  try {
    return await whole.result;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** For occasional requests: each opens its own connection, never one that the service is closing. */
export const singleUse = (opener: SocketOpener, timeoutMs: number): ConnectionPoolOptions => ({
  opener,
  connections: Number.POSITIVE_INFINITY,
  headersTimeout: timeoutMs,
  bodyTimeout: timeoutMs,
  keepAliveTimeout: 0,
});

/** Returns a header's value, by its lower-case name. Undefined if the header is missing or repeated. */
export function headerOf({ headers }: Pick<GotResponse, 'headers'>, lowerName: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== lowerName) continue;
    if (found !== undefined) return undefined;
    found = headers[at + 1];
  }
  return found;
}

class WholeResponse implements DispatchHandler {
  readonly #options: GetOptions;
  readonly #settle = Promise.withResolvers<GotResponse>();
  readonly #chunks: Buffer[] = [];
  #controller: DispatchController | undefined;
  #stoppedFor: Error | undefined;
  #bytes = 0;
  #status = 0;
  #headers: readonly string[] = [];

  constructor(options: GetOptions) {
    this.#options = options;
  }

  get result(): Promise<GotResponse> {
    return this.#settle.promise;
  }

  timeout(): HttpClientError {
    return this.#status === 0
      ? new HttpClientError('UPSTREAM_HEAD_TIMEOUT', 'no response head in time')
      : new HttpClientError('UPSTREAM_BODY_TIMEOUT', 'no complete response in time');
  }

  /** Also works before the request has a connection. */
  stop(reason: Error): void {
    this.#stoppedFor = reason;
    this.#settle.reject(reason);
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: DispatchController): void {
    this.#controller = controller;
    if (this.#stoppedFor !== undefined) controller.abort(this.#stoppedFor);
  }

  onResponseStart({ rawHeaders }: DispatchController, status: number): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = latin1Fields(rawHeaders);
  }

  onResponseData(_controller: DispatchController, chunk: Buffer): void {
    const { maxBodyBytes, largerBody } = this.#options;
    this.#bytes += chunk.length;
    if (this.#bytes > maxBodyBytes) {
      if (largerBody === 'cut') this.onResponseEnd();
      throw new HttpClientError('UPSTREAM_RESPONSE_TOO_LARGE', `the response has more than ${maxBodyBytes} bytes`);
    }
    this.#chunks.push(chunk);
  }

  // Only the first of these calls has an effect.
  onResponseEnd(): void {
    this.#settle.resolve({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks) });
  }

  onResponseError(_controller: DispatchController | null, error: unknown): void {
    this.#settle.reject(error);
  }
}
