export type RetryOptions = Readonly<{
  /** The maximum number of attempts, including the first. Default 3; 1 disables retries. */
  attempts?: number;
  /**
   * The longest wait for a retry, in milliseconds. A longer `Retry-After` is returned to the caller. Default 10,000.
   */
  maxWaitMs?: number;
}>;

/** Codes with a status other than 503 after which a retry can succeed. */
const passing: ReadonlySet<string> = new Set([
  'rate_limited',
  'upstream_unreachable',
  'upstream_broken',
  'upstream_timeout',
]);

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Whether a request may reach the service twice (RFC 9110 section 9.2.2). */
const isRepeatable = (request: Request): boolean =>
  idempotent.has(request.method) || request.headers.has('idempotency-key');

/** The outcome of an attempt: a response with its error code, or no response. */
export type Outcome = Readonly<{ response: Response; code: string | undefined }> | Readonly<{ error: unknown }>;

/**
 * The milliseconds to wait before sending a request again. Undefined if its outcome is final.
 *
 * @param attempt How often it was sent, at least 1.
 */
export function waitBeforeRetry(
  request: Request,
  outcome: Outcome,
  attempt: number,
  { attempts = 3, maxWaitMs = 10_000 }: RetryOptions,
): number | undefined {
  if (attempt >= attempts || !isRepeatable(request)) return undefined;
  const backoffMs = 200 * 2 ** (attempt - 1) * (0.5 + Math.random());
  if ('error' in outcome) return backoffMs;
  const { response, code } = outcome;
  if (response.status !== 503 && (code === undefined || !passing.has(code))) return undefined;
  // An HTTP date becomes NaN, so the backoff is used.
  const toldMs = Number(response.headers.get('retry-after') ?? Number.NaN) * 1000;
  const waitMs = Number.isFinite(toldMs) ? toldMs : backoffMs;
  return waitMs <= maxWaitMs ? waitMs : undefined;
}

/** @throws the signal's reason when it is aborted first. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
