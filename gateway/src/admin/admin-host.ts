import type { RequestHandler } from 'express';
import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';

const loopbackNames = ['localhost', '127.0.0.1', '::1'];

/**
 * Refuses a request to the admin listener under a name that is not its own. The listener has no login. Without this check, a web page could
 * read it through an operator's browser by resolving its own name to this address (DNS rebinding).
 *
 * Accepts a Host that is in `admin.allowedHosts`. Also accepts the listener's own port with a loopback name, the host of `listen.admin`, or
 * the IP address that the connection arrived at. DNS rebinding cannot make a browser send an IP address, so probes and Prometheus may use
 * a pod's address.
 *
 * The middleware passes on AppError `misdirected_request`. A request without Host does not come from a browser; `demandWellFormed` checks it.
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

/** Without the zone, and with an IPv4-mapped IPv6 address as IPv4. */
const addressOf = (address = ''): string =>
  address
    .toLowerCase()
    .replace(/^::ffff:(?=\d+\.)/, '')
    .replace(/%.*$/, '');
