import type { ServerResponse } from 'node:http';
import type { Code } from '../../errors.ts';
import type { SignedOutbound } from '../../pipeline/exchange.ts';
import type { OpenUpstream, Permit } from '../pool/open-upstream.ts';
import type { AttemptProgress } from '../pool/retry.ts';
import type { Target } from '../pool/target.ts';
import { isOutage } from '../pool/upstream-error.ts';

type FailedAttempt = Readonly<{
  progress: AttemptProgress;
  sending: Readonly<{ target: Target; outbound: SignedOutbound; response: ServerResponse; permit: Permit }>;
  /** What is left of the response timeout. */
  leftMs(): number;
}>;

/**
 * Counts a failed attempt.
 *
 * @returns Whether the request may be sent again. If so, the retry is taken from the budget.
 */
export function takeRetry(upstream: OpenUpstream, attempt: FailedAttempt, code: Code, retries: number): boolean {
  const { progress, sending } = attempt;
  const { target, outbound, response, permit } = sending;
  const hasResponded = progress === 'responded';
  target.failed(code, progress);
  const isOpen = retries < upstream.upstream.retry.attempts && attempt.leftMs() > 0 && !response.destroyed;
  if (isOpen && upstream.takeRetry(outbound, { code, progress })) return true;
  if (!hasResponded && isOutage(code)) permit.settle('failure');
  return false;
}
