import type { RequestHandler } from 'express';
import helmet from 'helmet';
import { AppError } from '../../errors.ts';

/**
 * Security headers of the admin listener. Pages load only what this listener serves, and no script or style stands in
 * the page itself.
 */
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

/**
 * Refuses a POST that another site caused. The listener has no login and no cookie, but it is reached through an
 * operator's browser. A request without both headers does not come from a browser.
 *
 * The middleware passes on AppError `origin_not_allowed`.
 */
export const refuseCrossSite: RequestHandler = ({ headers, socket }, _res, next) => {
  const site = headers['sec-fetch-site'];
  const scheme = 'encrypted' in socket ? 'https' : 'http';
  const isOwnSite = site === undefined || site === 'same-origin';
  const isOwnOrigin = headers.origin === undefined || headers.origin === `${scheme}://${headers.host}`;
  if (isOwnSite && isOwnOrigin) next();
  else next(new AppError('origin_not_allowed'));
};
