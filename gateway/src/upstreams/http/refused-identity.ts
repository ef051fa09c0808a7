import { AppError } from '../../errors.ts';
import type { AnswerHeaders } from './response-headers.ts';

/**
 * Reads whether a service did not accept our signature. It is never the client's fault: a clock or a key in here is wrong. Or the service
 * cannot check it now: it has no keys of ours, or its memory of used nonces is gone or has only just begun. Then nothing is wrong with the
 * request.
 *
 * @returns undefined where the answer is the service's own.
 */
export function refusedIdentity(
  status: number,
  { identityRefused, identityUnavailable }: Pick<AnswerHeaders, 'identityRefused' | 'identityUnavailable'>,
  upstream: Readonly<{ upstream: string; target: string }>,
): AppError | undefined {
  const reason = status === 401 ? identityRefused : status === 503 ? identityUnavailable : undefined;
  if (reason === undefined) return undefined;
  const isUnavailable = status === 503 || reason === 'created_before_start';
  const code = isUnavailable ? 'identity_unavailable' : 'identity_refused';
  return new AppError(code, { detail: { ...upstream, reason: reason.slice(0, 64) } });
}
