import { AppError } from '../errors.ts';
import { headersFrom } from '../http/flat-headers.ts';
import { securityHeaders } from '../http/security-headers.ts';
import type { PreflightHeaders } from './cors.ts';
import type { Incoming } from './exchange.ts';
import type { OwnAnswer, ResourceMetadata } from './resource-metadata.ts';

export type OwnAnswersOptions = Readonly<{
  cors?: ((incoming: Incoming) => PreflightHeaders | undefined) | undefined;
  metadata?: ResourceMetadata | undefined;
}>;

/**
 * Answers CORS preflights, `OPTIONS *` and requests for the metadata of protected resources.
 *
 * @returns Undefined for every other request. The stage throws what `cors` and `metadata` throw, and `body_not_allowed`.
 */
export function createOwnAnswers({ cors, metadata }: OwnAnswersOptions): (incoming: Incoming) => OwnAnswer | undefined {
  return (incoming) => {
    const preflight = cors?.(incoming) ?? serverOptions(incoming);
    if (preflight !== undefined) return { status: 204, headers: preflight, body: undefined };
    const answer = metadata?.answer(incoming);
    // Pages of other origins read the metadata too.
    return answer && { ...answer, headers: { ...answer.headers, ...headersFrom(incoming.record.cors) } };
  };
}

/** The headers for `OPTIONS *`, which asks about the server and not about a resource (RFC 9110 section 9.3.7). */
function serverOptions({ method, rawTarget, body, record }: Incoming): Record<string, string> | undefined {
  if (rawTarget !== '*' || method !== 'OPTIONS') return undefined;
  if (body.present) throw new AppError('body_not_allowed');
  return { ...securityHeaders, 'x-request-id': record.requestId };
}
