import type { IncomingMessage, RequestListener } from 'node:http';
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

/**
 * Refuses cross-site requests. The listener has no login and no cookie, but an operator's browser can reach it.
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

const loopbackNames = ['localhost', '127.0.0.1', '::1'];

/**
 * Refuses a request whose `Host` does not name the admin listener. The listener has no login. Without this check, a
 * web page could read it through an operator's browser by resolving its own name to this address (DNS rebinding).
 *
 * Accepts a Host that is in `admin.allowedHosts`. Also accepts the listener's own port with a loopback name, the host
 * of `listen.admin`, or the IP address that the connection arrived at. DNS rebinding cannot make a browser send an IP
 * address, so probes and Prometheus may use a pod's address.
 *
 * The middleware passes on AppError `misdirected_request`. A request without Host does not come from a browser; {@link
 * requireWellFormed} checks it.
 */
export function requireAdminHost({
  admin,
  listen,
}: Readonly<{ admin: Pick<GatewayConfig['admin'], 'allowedHosts'>; listen: GatewayConfig['listen'] }>): RequestHandler {
  const allowed = new Set(admin.allowedHosts);
  const names = new Set([...loopbackNames, listen.admin.host.toLowerCase()]);
  return ({ headers, socket }, _res, next) => {
    if (headers.host === undefined) {
      next();
      return;
    }
    const host = headers.host.toLowerCase();
    const [, name = '', port = '80'] = /^(.*?)(?::(\d{1,5}))?$/s.exec(host) ?? [];
    const bare = name.replace(/^\[(.*)\]$/s, '$1');
    const isOwn = names.has(bare) || bare === addressOf(socket.localAddress);
    if (allowed.has(host) || allowed.has(name) || (isOwn && Number(port) === socket.localPort)) next();
    else next(new AppError('misdirected_request'));
  };
}

/** Removes the zone, and writes an IPv4-mapped IPv6 address as IPv4. */
const addressOf = (address = ''): string =>
  address
    .toLowerCase()
    .replace(/^::ffff:(?=\d+\.)/, '')
    .replace(/%.*$/, '');

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
