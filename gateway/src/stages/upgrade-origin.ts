import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Incoming } from '../exchange.ts';
import { hostsOf } from './public-host.ts';

const longestLogged = 200;

/**
 * Browsers let any page open a WebSocket to anywhere, cookies included, and say only where it comes from: the server has to look (RFC
 * 6455 section 10.2). Ours and those of `cors` may. Where neither is configured, the page's host must be the one that was asked for.
 * Without `Origin` it is no browser, and has no page to protect.
 *
 * @returns A check that throws AppError `origin_not_allowed`.
 */
export function createUpgradeOrigin({
  publicOrigins,
  cors,
}: Pick<GatewayConfig, 'publicOrigins' | 'cors'>): (incoming: Incoming) => void {
  const listed = new Set([...publicOrigins, ...(cors?.origins ?? [])]);
  return ({ client: { origin, host } }) => {
    if (origin === undefined) return;
    if (listed.size > 0 ? listed.has(origin) : isOwn(origin, host)) return;
    throw new AppError('origin_not_allowed', { detail: { origin: origin.slice(0, longestLogged) } });
  };
}

const isOwn = (origin: string, host: string): boolean =>
  URL.parse(origin)?.origin === origin && hostsOf(origin).includes(host);
