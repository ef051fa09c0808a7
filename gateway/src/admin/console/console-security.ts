import type { RequestHandler } from 'express';
import helmet from 'helmet';
import { AppError } from '../../errors.ts';

/**
 * Security headers of the admin listener. Pages load only what this listener serves, and have no inline scripts or
 * styles.
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
 * Refuses cross-site requests. The listener has no login and no cookie, but it is reached through an operator's browser.
 * Cross-site links are allowed, because the other site cannot read the page.
 *
 * Browsers send `Sec-Fetch-Site` over TLS and to loopback addresses, and a site cannot forge it. Otherwise `Origin`
 * identifies the site, for POSTs and fetches. A request with neither header is a plain link or not from a browser.
 *
 * The middleware passes on AppError `origin_not_allowed`.
 */
export const refuseCrossSite: RequestHandler = ({ method, headers, socket }, _res, next) => {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  const isRead = method === 'GET' || method === 'HEAD';
  const scheme = 'encrypted' in socket ? 'https' : 'http';
  const isOwn =
    site === undefined
      ? origin === undefined || origin === `${scheme}://${host}`
      : site === 'same-origin' || (isRead && site === 'none');
  const isLink = isRead && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  if (isOwn || (site !== undefined && isLink)) next();
  else next(new AppError('origin_not_allowed'));
};
