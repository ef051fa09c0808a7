import { readBody } from '@countersign/jwks';
import { createOutageLog, type Logger, TurnQueue } from '@countersign/process-kit';
import type { Issuer } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { guardedFetch } from '../keys/discovery.ts';
import type { Asker, IntrospectionEndpoint } from '../tokens/verified-tokens.ts';
import { Breaker } from './pool/breaker.ts';

type Settings = NonNullable<Issuer['introspection']>;

const defaultTimeoutMs = 5_000;
const maxBytes = 64 * 1024;
const maxConcurrent = 32;
const maxWaiting = 1_000;
const breakerRules = { failureRate: 0.5, minimum: 10, windowMs: 10_000, cooldownMs: 2_000 };

/**
 * Asks one introspection endpoint, over a new connection each time. Redirects are not followed, because they would
 * carry the token and the secret elsewhere. At most 32 requests run at once; client addresses take turns.
 *
 * @param timeoutMs How long a request may take, and how long it may wait before.
 */
export function openIntrospection(issuer: string, settings: Settings, logger: Logger, timeoutMs = defaultTimeoutMs) {
  // The operator chose the address, so it may be anywhere but at a metadata service.
  const { fetch } = guardedFetch(() => 'loopback');
  const breaker = new Breaker(breakerRules);
  const outages = createOutageLog(() => performance.now());
  const unavailable = (reason: string, cause?: unknown) =>
    new AppError('introspection_unavailable', { cause, detail: { issuer, reason } });
  const queue = new TurnQueue({
    concurrency: maxConcurrent,
    maxWaiting,
    maxWaitMs: timeoutMs,
    refusal: (reason) => unavailable(reason),
  });
  const credentials = `${formEncoded(settings.clientId)}:${formEncoded(Buffer.from(settings.secret).toString())}`;
  const headers = {
    accept: settings.signed ? 'application/token-introspection+jwt' : 'application/json',
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
  };

  async function attempt<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const permit = breaker.admit(performance.now());
    if (permit === undefined) throw unavailable('paused, because requests failed');
    endpoint.stats.calls += 1;
    try {
      const answer = await work();
      breaker.settle(permit, 'success', performance.now());
      outages.recovered();
      endpoint.last = { monotonicMs: performance.now(), failure: undefined };
      return answer;
    } catch (cause) {
      endpoint.stats.failures += 1;
      // A client could send tokens that the endpoint answers with 400, and must not stop the others.
      const isOfToken = cause instanceof StatusError && cause.status === 400;
      breaker.settle(permit, isOfToken ? 'neutral' : 'failure', performance.now());
      const reason = reasonOf(cause);
      endpoint.last = { monotonicMs: performance.now(), failure: reason };
      const level = outages.failed(true);
      if (level !== undefined)
        logger[level]({ issuer, url: settings.shownUrl, reason }, 'opaque tokens cannot be introspected');
      throw unavailable(reason, cause);
    }
  }

  /** @see RFC 7662 section 2.1 */
  async function post(token: string): Promise<Buffer> {
    const response = await fetch(settings.url, {
      method: 'POST',
      headers,
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new StatusError(response.status);
    }
    const body = await readBody(response, maxBytes);
    if (body === undefined) throw new Error(`the response exceeds ${maxBytes} bytes`);
    return body;
  }

  const endpoint = {
    stats: { calls: 0, failures: 0, hits: 0 },
    last: undefined as IntrospectionEndpoint['last'],
    ask: <Answer>(token: string, asker: Asker, read: (body: Buffer) => Answer | Promise<Answer>): Promise<Answer> =>
      queue.run(asker, async () => {
        asker.assertAllowed();
        return attempt(async () => read(await post(token)));
      }),
    breakerState: () => breaker.state(performance.now()),
    start() {},
    stop() {},
  };
  return endpoint satisfies IntrospectionEndpoint;
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
