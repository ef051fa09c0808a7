import type { Request } from 'express';
import { AppError } from './errors.ts';

/**
 * What the parser of {@link createServiceApp} made of the body; undefined without one, which no schema takes.
 *
 * @throws AppError `unsupported_media_type`
 */
export function jsonBody(req: Request): unknown {
  if (req.headers['content-length'] === '0') return undefined;
  if (req.is('application/json') === false) throw new AppError('unsupported_media_type');
  return req.body;
}
