import type { IncomingMessage, RequestListener } from 'node:http';
import type { Express, RequestHandler } from 'express';
import { AppError } from '../errors.ts';

const refused = new WeakSet<IncomingMessage>();

/**
 * Makes the listener of the admin app. Express answers a target that it cannot parse, such as `http://[/`, before any
 * middleware. So a target that does not begin with `/` gets another one here, and {@link requirePath} refuses it.
 */
export const adminListener =
  (app: Express): RequestListener =>
  (req, res) => {
    if (req.url?.startsWith('/') !== true) {
      refused.add(req);
      req.url = '/';
    }
    app(req, res);
  };

/** Passes on AppError `invalid_target` for a target that is not a path (RFC 9112 section 3.2.1). */
export const requirePath: RequestHandler = (req, _res, next) => {
  next(refused.has(req) ? new AppError('invalid_target') : undefined);
};
