import type { IncomingMessage, RequestListener } from 'node:http';
import { requireOwnHost } from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import helmet from 'helmet';
import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';

/** Pages of the admin listener load only what it serves, and have no inline scripts or styles. */
export const adminHeaders: RequestHandler = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      'default-src': ["'none'"],
      'style-src': ["'self'"],
      'script-src': ["'self'"],
      'img-src': ["'self'"],
      'connect-src': ["'self'"],
      'form-action': ["'self'"],
      'base-uri': ["'none'"],
      'frame-ancestors': ["'none'"],
    },
  },
  // With `no-referrer`, browsers send `Origin: null` with the console's own forms.
  referrerPolicy: { policy: 'same-origin' },
  xFrameOptions: { action: 'deny' },
});

/** Refuses a request whose `Host` does not name the admin listener. */
export const requireAdminHost = ({ admin, listen }: Pick<GatewayConfig, 'admin' | 'listen'>): RequestHandler =>
  requireOwnHost(listen.admin.host, admin.allowedHosts);

const refused = new WeakSet<IncomingMessage>();

/**
 * Creates the request listener for the admin app. Express itself responds to a request target that it cannot parse,
 * such as `http://[/`, before any middleware runs. So this function replaces a target that does not begin with `/`,
 * and {@link requirePath} refuses it.
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

/** Passes on AppError `invalid_target` if the request target is not a path (RFC 9112 section 3.2.1). */
export const requirePath: RequestHandler = (req, _res, next) => {
  next(refused.has(req) ? new AppError('invalid_target') : undefined);
};

/** Checks `Host` (RFC 9112 section 3.2) and `Expect`, because Node's own checks respond without a request id. */
export const requireWellFormed: RequestHandler = ({ headers, headersDistinct, httpVersion }, _res, next) => {
  const hosts = headersDistinct.host?.length ?? 0;
  if (hosts > 1 || (hosts === 0 && httpVersion !== '1.0')) next(new AppError('invalid_host'));
  else if ((headers.expect ?? '100-continue').toLowerCase() !== '100-continue')
    next(new AppError('expectation_failed'));
  else next();
};
