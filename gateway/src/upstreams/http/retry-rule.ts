import type { Code } from '../../errors.ts';
import type { Signed } from '../../exchange.ts';

/** How far an attempt came: nothing left for the service, something did, or something came back. */
export type Progress = 'unsent' | 'unanswered' | 'answered';

export type FailedAttempt = Readonly<{ code: Code; progress: Progress }>;

/** RFC 9110 section 9.2.2, as far as they are served. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/**
 * Whether a request may be sent once more.
 *
 * Never when a byte of an answer came, and never when its body was a stream, which is gone. What was sent is repeated only where the method
 * says that this does no harm, and not after a time-out: the service may still be working on it, and the client has waited long enough.
 * What was never sent, since there was no connection, was not applied either (RFC 9110 section 9.2.2), so it may go to another target
 * whatever its method; to the same one it would come too soon.
 */
export function mayRetry(
  { method, body }: Pick<Signed['outbound'], 'method' | 'body'>,
  { code, progress }: FailedAttempt,
  hasOtherTarget: boolean,
): boolean {
  if (body === 'stream') return false;
  switch (progress) {
    case 'answered':
      return false;
    case 'unsent':
      return hasOtherTarget && isAboutConnecting(code);
    case 'unanswered':
      // In TLS 1.3 a certificate is refused after the first request was sent.
      return (code === 'upstream_broken' || code === 'upstream_untrusted') && idempotent.has(method);
  }
}

const isAboutConnecting = (code: Code): boolean =>
  code === 'upstream_unreachable' || code === 'upstream_timeout' || code === 'upstream_untrusted';
