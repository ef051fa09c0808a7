import type { AppError, Code } from '../../errors.ts';
import type { Signed } from '../../pipeline/exchange.ts';

/** How far an attempt got: nothing was sent, something was sent, or a response byte arrived. */
export type AttemptProgress = 'unsent' | 'sent' | 'responded';

export type FailedAttempt = Readonly<{ code: Code; progress: AttemptProgress }>;

/** The idempotent methods (RFC 9110 section 9.2.2) that routes can have. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/**
 * Whether a request may be sent again.
 *
 * Never after the first response byte, and never with a streamed body, which cannot be sent again. A sent request is
 * repeated only if its method is idempotent, and not after a timeout, because the service may still be working on it.
 * A request that never had a connection was not applied (RFC 9110 section 9.2.2), so any method may go to another
 * target. The same target would probably fail again.
 */
export function mayRetry(
  { method, body }: Pick<Signed['outbound'], 'method' | 'body'>,
  { code, progress }: FailedAttempt,
  hasOtherTarget: boolean,
): boolean {
  if (body === 'stream') return false;
  switch (progress) {
    case 'responded':
      return false;
    case 'unsent':
      return hasOtherTarget && isConnectFailure(code);
    case 'sent':
      // In TLS 1.3, the peer may refuse the certificate after the first request was sent.
      return (code === 'upstream_broken' || code === 'upstream_untrusted') && idempotent.has(method);
  }
}

const isConnectFailure = (code: Code): boolean =>
  code === 'upstream_unreachable' || code === 'upstream_timeout' || code === 'upstream_untrusted';

/**
 * Whether the service has just started: it refuses a read whose signature is older than its replay memory, or that it has
 * no keys for yet. A signature of the next second probably passes. Other methods are not sent again: an attacker in
 * between may have sent the refusal, after the service has handled the request and restarted.
 */
export function isTooEarly({ method, body }: Pick<Signed['outbound'], 'method' | 'body'>, refusal: AppError): boolean {
  const reason = refusal.detail?.reason;
  if (reason !== 'created_before_start' && reason !== 'keys_unavailable') return false;
  return (method === 'GET' || method === 'HEAD') && body !== 'stream';
}
