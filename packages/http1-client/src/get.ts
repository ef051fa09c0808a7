import type { ConnectionPool } from './connection-pool.ts';
import { ExchangeError } from './exchange-error.ts';
import type { ResponseHandler } from './upstream-exchange.ts';

export type GetOptions = Readonly<{
  /** Alternating names and values. */
  headers?: readonly string[];
  maxBodyBytes: number;
  /** What a larger body is: an error by default; `cut` ends the exchange and returns what was read. */
  largerBody?: 'error' | 'cut';
  /** For the whole exchange, instead of the pool's timeouts. A response that arrives byte by byte ends, too. */
  timeoutMs: number;
  /** Ends the exchange with its reason. */
  signal?: AbortSignal;
  /** The body of a POST. Default: a GET. */
  post?: Buffer;
}>;

export type GotResponse = Readonly<{
  status: number;
  /** Alternating names and values. */
  headers: readonly string[];
  body: Buffer;
}>;

/**
 * Gets a whole response, of any status. Redirects are not followed.
 *
 * @throws ExchangeError, `UPSTREAM_RESPONSE_TOO_LARGE` and `UPSTREAM_HEAD_TIMEOUT` or `UPSTREAM_BODY_TIMEOUT` included, or the
 *   reason of the signal.
 */
export function get(pool: ConnectionPool, path: string, options: GetOptions): Promise<GotResponse> {
  const { headers = [], timeoutMs, signal, post } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const whole = new WholeResponse(options);
    const timeouts = { headTimeoutMs: timeoutMs, bodyTimeoutMs: timeoutMs };
    const exchange = pool.send(
      { method: post === undefined ? 'GET' : 'POST', path, headers, body: post ?? null, ...timeouts },
      whole,
    );
    const timer = setTimeout(() => exchange.abort(whole.timeout()), timeoutMs);
    const onAbort = () => exchange.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort);
    whole.settled.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  });
}

/** The value of a header, by its name in lower case; undefined if it is missing or repeated. */
export function headerOf({ headers }: Pick<GotResponse, 'headers'>, lowerName: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== lowerName) continue;
    if (found !== undefined) return undefined;
    found = headers[at + 1];
  }
  return found;
}

class WholeResponse implements ResponseHandler {
  readonly settled: Promise<GotResponse>;
  readonly #options: GetOptions;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #headers: readonly string[] = [];
  #resolve: (response: GotResponse) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(options: GetOptions) {
    this.#options = options;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  timeout(): ExchangeError {
    return this.#status === 0
      ? new ExchangeError('UPSTREAM_HEAD_TIMEOUT', 'no response head in time')
      : new ExchangeError('UPSTREAM_BODY_TIMEOUT', 'no complete response in time');
  }

  onSent(): void {}

  onHead(status: number, headers: string[]): void {
    this.#status = status;
    this.#headers = headers;
  }

  onData(chunk: Buffer): boolean {
    const { maxBodyBytes, largerBody } = this.#options;
    this.#bytes += chunk.length;
    if (this.#bytes > maxBodyBytes) {
      if (largerBody === 'cut') this.onEnd();
      throw new ExchangeError('UPSTREAM_RESPONSE_TOO_LARGE', `the response has more than ${maxBodyBytes} bytes`);
    }
    this.#chunks.push(chunk);
    return true;
  }

  onEnd(): void {
    this.#resolve({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks) });
  }

  onError(error: unknown): void {
    this.#reject(error);
  }
}
