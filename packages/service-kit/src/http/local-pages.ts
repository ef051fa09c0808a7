import { AppError } from '@countersign/process-kit';
import type { RequestHandler } from 'express';

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
 * Refuses a request whose `Host` does not name the listener. The listener has no login. Without this check, a web page
 * could read it through an operator's browser by resolving its own name to this address (DNS rebinding).
 *
 * Accepts a Host that is in `allowedHosts`. Also accepts the listener's own port with a loopback name, the listener's
 * host, or the IP address that the connection arrived at. DNS rebinding cannot make a browser send an IP address, so
 * probes and Prometheus may use a pod's address.
 *
 * The middleware passes on AppError `misdirected_request`. A request without Host does not come from a browser, and
 * passes.
 */
export function requireOwnHost(listenHost: string, allowedHosts: readonly string[] = []): RequestHandler {
  const allowed = new Set(allowedHosts);
  const names = new Set([...loopbackNames, listenHost.toLowerCase()]);
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
