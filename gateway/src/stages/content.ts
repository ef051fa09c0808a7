import { AppError } from '../errors.ts';
import type { Matched } from '../exchange.ts';
import { wholeBodyRate } from '../limits/min-rate.ts';
import { readBody } from './read-body.ts';

/** A body of GET and HEAD has no meaning that all would agree on (RFC 9110 section 9.3.1). */
export const hasContent = (method: string): boolean => method !== 'GET' && method !== 'HEAD';

/**
 * Carries out the route's body mode: read whole, left to be streamed, or refused.
 *
 * @returns At once where nothing has to be read; undefined: there is no body.
 * @throws AppError `body_not_allowed`, `payload_too_large`, `unsupported_media_type`; as rejections also `request_timeout` and
 *   `invalid_request`.
 */
export function takeContent({
  route,
  method,
  body,
  request,
  acceptBody,
}: Matched): Buffer | 'stream' | undefined | Promise<Buffer> {
  if (!body.present) return undefined;
  if (route.body.mode === 'none' || !hasContent(method)) throw new AppError('body_not_allowed');
  if ((body.length ?? 0) > route.body.maxBytes) throw new AppError('payload_too_large');
  if (route.body.mode === 'stream') return 'stream';
  // Whoever decodes it would see other bytes than the ones that are signed, and perhaps very many of them.
  if (body.encoding !== undefined) {
    throw new AppError('unsupported_media_type', { detail: { reason: 'content-encoding' } });
  }
  acceptBody();
  return readBody(request, { maxBytes: route.body.maxBytes, rate: wholeBodyRate(route.upstream) });
}
