import type { RequestHandler } from 'express';
import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';

const loopbackNames = ['localhost', '127.0.0.1', '::1'];

/**
 * Refuses a request to the admin listener under a name that is not its own. The listener has no login: without this, a web page whose name
 * is made to resolve to it (DNS rebinding) could read it with an operator's browser.
 *
 * A Host is good if it is in `admin.allowedHosts`, or if its port is the listener's and its name is a loopback name, the host of
 * `listen.admin`, or the IP address that the connection arrived at. DNS cannot make a browser send an IP address, so probes and
 * Prometheus may name a pod's.
 *
 * The middleware passes on AppError `misdirected_request`. A request without Host is none of a browser's: `demandWellFormed` judges it.
 */
export function demandAdminHost({ admin, listen }: Pick<GatewayConfig, 'admin' | 'listen'>): RequestHandler {
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

/** An IPv4 address that a listener on `::` sees as IPv6 is named as IPv4. */
const addressOf = (address = ''): string =>
  address
    .toLowerCase()
    .replace(/^::ffff:(?=\d+\.)/, '')
    .replace(/%.*$/, '');
