export type RetryOptions = Readonly<{
  /** The maximum number of attempts, including the first. Defaults to 3. Use 1 to disable retries. */
  attempts?: number;
  /**
   * The longest wait before a retry, in milliseconds. A response with a longer `Retry-After` is returned to the caller.
   * Defaults to 10,000.
   */
  maxWaitMs?: number;
}>;

/** Error codes after which a retry can succeed, although the status is not 503. */
const passing: ReadonlySet<string> = new Set([
  'rate_limited',
  'upstream_unreachable',
  'upstream_broken',
  'upstream_timeout',
]);

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Whether a request is safe to send twice (RFC 9110 section 9.2.2). */
const isRepeatable = (request: Request): boolean =>
  idempotent.has(request.method) || request.headers.has('idempotency-key');

/** An attempt's outcome: a response with its error code, or no response. */
export type Outcome = Readonly<{ response: Response; code: string | undefined }> | Readonly<{ error: unknown }>;

/**
 * Returns how many milliseconds to wait before a retry, or undefined if the outcome is final.
 *
 * @param attempt How often the request was sent, at least 1.
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

/** @throws The signal's reason if it aborts first. */
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
