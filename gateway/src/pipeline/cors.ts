import type { Cors, GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { parseRequestTarget, type RouteTable } from '../routing/route-table.ts';
import type { Incoming, OwnRequest } from './exchange.ts';
import type { OwnAnswer } from './resource-metadata.ts';
import { hostsOf } from './sanitize.ts';

// Request headers that a page may send: for login, refresh by cookie, tokens and proofs, conditional and repeated
// writes, and resumed event streams.
const settable =
  'Authorization, Content-Type, DPoP, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Requested-With';
// Response headers that a page may read: for support, rate limits, retries, new resources and new proofs.
const readable = 'X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, DPoP-Nonce, ETag, Location';
export const exposed = ({ expose }: Pick<Cors, 'expose'>): string => [readable, ...expose].join(', ');

/**
 * Handles CORS for all services and drops their own CORS headers. The headers go into the record, so that errors carry
 * them too and a page can tell a 401 from a 429. Preflight requests are answered from the route table without a token.
 * A path's existence is not secret, because 404 and 401 differ too.
 *
 * Origins must match byte by byte. An origin that is not listed gets no CORS headers. Neither `null` nor `*` can be
 * listed.
 *
 * The stage throws AppError `no_route` and `invalid_target`, and `origin_not_allowed` for a preflight from an origin
 * that is not listed.
 * @returns Undefined unless the request is a preflight.
 * @see Fetch Standard section 3.3; DESIGN section 3: after sanitize
 */
export function createCors(
  config: Cors,
  table: Pick<RouteTable, 'methodsAt'>,
): (request: OwnRequest) => OwnAnswer | undefined {
  const vary = ['vary', 'Origin'];
  const listed = new Map(
    config.origins.map((origin) => [
      origin,
      [
        ...['access-control-allow-origin', origin],
        ...(config.credentials ? ['access-control-allow-credentials', 'true'] : []),
        ...['access-control-expose-headers', exposed(config)],
        ...vary,
      ],
    ]),
  );
  const preflight = {
    'access-control-allow-headers': [settable, ...config.headers].join(', '),
    'access-control-max-age': String(config.maxAgeSec),
  };

  return (incoming) => {
    const { record, client } = incoming;
    const allowed = client.origin === undefined ? undefined : listed.get(client.origin);
    record.cors = allowed ?? vary;
    if (client.origin === undefined || !isPreflight(incoming)) return undefined;
    if (allowed === undefined) throw new AppError('origin_not_allowed');
    const methods = table.methodsAt(parseRequestTarget(incoming.requestTarget).path);
    if (methods === undefined) throw new AppError('no_route');
    return { status: 204, headers: { ...preflight, 'access-control-allow-methods': methods.join(', ') } };
  };
}

const isPreflight = ({ method, headers }: OwnRequest): boolean =>
  method === 'OPTIONS' &&
  headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'access-control-request-method');

const maxLoggedOrigin = 200;

/**
 * Checks the origin of a WebSocket handshake. Browsers let any page open a WebSocket with the user's cookies, so the
 * server must check `Origin` (RFC 6455 section 10.2). The public origins and those in `cors` are allowed. If neither
 * is configured, the page's host must equal the requested host. A client without `Origin` is not a browser, so it
 * passes.
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
    throw new AppError('origin_not_allowed', { detail: { origin: origin.slice(0, maxLoggedOrigin) } });
  };
}

const isOwn = (origin: string, host: string): boolean =>
  URL.parse(origin)?.origin === origin && hostsOf(origin).includes(host);
