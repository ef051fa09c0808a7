import { AppError } from '../errors.ts';
import type { Incoming } from '../exchange.ts';
import { securityHeaders } from '../http/security-headers.ts';

/**
 * Answers `OPTIONS *`, which asks about the server and no resource of it: that it is there, and nothing else. Every other `*` is
 * no target.
 *
 * @returns The headers of a 204; undefined where the request is another.
 * @throws AppError `body_not_allowed`.
 * @see RFC 9110 section 9.3.7
 */
export function answerServerOptions({ method, rawTarget, body, record }: Incoming): Record<string, string> | undefined {
  if (rawTarget !== '*' || method !== 'OPTIONS') return undefined;
  if (body.present) throw new AppError('body_not_allowed');
  return { ...securityHeaders, 'x-request-id': record.requestId };
}
