import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/**
 * For the admin listener, whose server leaves these to the app: node would refuse them without a word, and without a request id.
 *
 * The middleware passes on AppError `invalid_host` (RFC 9112 section 3.2), `expectation_failed`.
 */
export const demandWellFormed: RequestHandler = ({ headers, headersDistinct, httpVersion }, _res, next) => {
  const hosts = headersDistinct.host?.length ?? 0;
  if (hosts > 1 || (hosts === 0 && httpVersion !== '1.0')) next(new AppError('invalid_host'));
  else if ((headers.expect ?? '100-continue').toLowerCase() !== '100-continue')
    next(new AppError('expectation_failed'));
  else next();
};
