import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/**
 * Checks `Host` and `Expect` on the admin listener. Node's own checks are turned off there: they respond without a
 * request id.
 *
 * The middleware passes on AppError `invalid_host` (RFC 9112 section 3.2), `expectation_failed`.
 */
export const requireWellFormed: RequestHandler = ({ headers, headersDistinct, httpVersion }, _res, next) => {
  const hosts = headersDistinct.host?.length ?? 0;
  if (hosts > 1 || (hosts === 0 && httpVersion !== '1.0')) next(new AppError('invalid_host'));
  else if ((headers.expect ?? '100-continue').toLowerCase() !== '100-continue')
    next(new AppError('expectation_failed'));
  else next();
};
