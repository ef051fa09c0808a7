import { readBody } from '@countersign/jwks';
import { createOutageLog, type Logger } from '@countersign/service-kit';
import type { Issuer } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { guardedFetch } from '../keys/discovery.ts';
import type { IntrospectionEndpoint } from '../tokens/verified-tokens.ts';
import { Breaker, type BreakerState } from './pool/breaker.ts';

type Settings = NonNullable<Issuer['introspection']>;

const defaultTimeoutMs = 5_000;
const maxBytes = 64 * 1024;
const maxConcurrent = 32;
const maxWaiting = 1_000;
const breakerRules = { failureRate: 0.5, minimum: 10, windowMs: 10_000, cooldownMs: 2_000 };

/**
 * Asks one introspection endpoint, over a new connection each time. Redirects are not followed, because they would
 * carry the token and the secret elsewhere. At most 32 requests run at once; others wait in order.
 */
export class IntrospectionClient implements IntrospectionEndpoint {
  readonly stats = { calls: 0, failures: 0, hits: 0 };
  last: IntrospectionEndpoint['last'];
  readonly #issuer: string;
  readonly #timeoutMs: number;
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #headers: Readonly<Record<string, string>>;
  // The operator chose the address, so it may be anywhere but at a metadata service.
  readonly #fetch = guardedFetch(() => 'loopback').fetch;
  readonly #breaker = new Breaker(breakerRules);
  readonly #outages = createOutageLog(() => performance.now());
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** @param timeoutMs How long a request may take, and how long it may wait before. */
  constructor(issuer: string, settings: Settings, logger: Logger, timeoutMs = defaultTimeoutMs) {
    this.#timeoutMs = timeoutMs;
    this.#issuer = issuer;
    this.#settings = settings;
    this.#logger = logger;
    const credentials = `${formEncoded(settings.clientId)}:${formEncoded(Buffer.from(settings.secret).toString())}`;
    this.#headers = {
      accept: settings.signed ? 'application/token-introspection+jwt' : 'application/json',
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    };
  }

  async ask<Answer>(
    token: string,
    admit: () => void,
    read: (body: Buffer) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    await this.#enter();
    try {
      admit();
      return await this.#attempt(async () => read(await this.#post(token)));
    } finally {
      this.#leave();
    }
  }

  readonly breakerState = (): BreakerState => this.#breaker.state(performance.now());

  start(): void {}

  stop(): void {}

  async #attempt<Answer>(attempt: () => Promise<Answer>): Promise<Answer> {
    const permit = this.#breaker.admit(performance.now());
    if (permit === undefined) throw this.#unavailable('paused, because requests failed');
    this.stats.calls += 1;
    try {
      const answer = await attempt();
      this.#breaker.settle(permit, 'success', performance.now());
      this.#outages.recovered();
      this.last = { monotonicMs: performance.now(), failure: undefined };
      return answer;
    } catch (cause) {
      this.stats.failures += 1;
      // A client could send tokens that the endpoint answers with 400, and must not stop the others.
      const isOfToken = cause instanceof StatusError && cause.status === 400;
      this.#breaker.settle(permit, isOfToken ? 'neutral' : 'failure', performance.now());
      const reason = reasonOf(cause);
      this.last = { monotonicMs: performance.now(), failure: reason };
      const level = this.#outages.failed(true);
      if (level !== undefined) {
        const { shownUrl: url } = this.#settings;
        this.#logger[level]({ issuer: this.#issuer, url, reason }, 'opaque tokens cannot be introspected');
      }
      throw this.#unavailable(reason, cause);
    }
  }

  /** @see RFC 7662 section 2.1 */
  async #post(token: string): Promise<Buffer> {
    const response = await this.#fetch(this.#settings.url, {
      method: 'POST',
      headers: this.#headers,
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new StatusError(response.status);
    }
    const body = await readBody(response, maxBytes);
    if (body === undefined) throw new Error(`the response exceeds ${maxBytes} bytes`);
    return body;
  }

  async #enter(): Promise<void> {
    if (this.#running < maxConcurrent) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= maxWaiting) throw this.#unavailable('too many requests are waiting');
    const sinceMs = performance.now();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (performance.now() - sinceMs < this.#timeoutMs) return;
    this.#leave();
    throw this.#unavailable('too many requests were waiting');
  }

  /** Passes the slot on to the request that has waited longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  #unavailable(reason: string, cause?: unknown): AppError {
    return new AppError('introspection_unavailable', { cause, detail: { issuer: this.#issuer, reason } });
  }
}

class StatusError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the endpoint responded with ${status}`);
    this.status = status;
  }
}

/** RFC 6749 section 2.3.1 and appendix B: id and secret are form-encoded before they are joined by a colon. */
const formEncoded = (text: string): string => new URLSearchParams({ _: text }).toString().slice('_='.length);

/** Never the message of a parser, which may quote the answer. */
function reasonOf(cause: unknown): string {
  if (cause instanceof SyntaxError) return 'the response is not one JSON object';
  const { name, message, cause: inner } = cause as Error & { cause?: { code?: unknown } };
  if (name === 'TimeoutError') return 'no response in time';
  return typeof inner?.code === 'string' ? inner.code : message;
}
