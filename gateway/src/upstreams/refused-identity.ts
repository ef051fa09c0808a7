import { AppError } from '../errors.ts';

/**
 * A service refused our signature. It is never the client's fault: a clock or a key in here is wrong. Or the service, or the Redis that it
 * shares, began to remember only just now and cannot know whether the request was used before: then nothing is wrong, for a second.
 *
 * @param reason What the service's `X-Identity-Refused` says.
 */
export function refusedIdentity(reason: string, upstream: Readonly<{ upstream: string; target: string }>): AppError {
  const code = reason === 'created_before_start' ? 'identity_unavailable' : 'identity_refused';
  return new AppError(code, { detail: { ...upstream, reason: reason.slice(0, 64) } });
}
