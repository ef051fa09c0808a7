import type { Cors } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Incoming } from '../exchange.ts';
import { securityHeaders } from '../http/security-headers.ts';
import type { RouteTable } from '../routing/route-table.ts';
import { parseTarget } from '../routing/target.ts';

// What a page needs to log in and to refresh by cookie, to call with a token or a proof, and to write without losing what another wrote.
const settable = ['Authorization', 'Content-Type', 'DPoP', 'If-Match', 'If-None-Match', 'X-Requested-With'];
// What it needs to name a request to support, to wait as told, to follow what it made, and to prove again.
const readable = [
  'X-Request-Id',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'DPoP-Nonce',
  'ETag',
  'Location',
];

/** The headers of a 204: this request was a browser's question, and has been answered. */
export type PreflightHeaders = Readonly<Record<string, string>>;

/**
 * Answers browsers that ask for pages of other origins; services are not asked, and their own CORS headers are dropped. It
 * notes for every answer, refusals included, who may read it, so a page can tell a 401 from a 429. A preflight
 * is answered from the route table, without a token: whether a path exists is no secret, 404 and 401 differ too.
 *
 * An origin is listed byte by byte, or it is told nothing; `null` cannot be listed. There is never a `*`.
 *
 * The stage throws AppError `origin_not_allowed` for a preflight of an origin that is not listed, `no_route`, `invalid_target`.
 * @returns Undefined where the request is none of CORS's own.
 * @see Fetch Standard section 3.3; DESIGN section 3: after sanitize
 */
export function createCors(config: Cors, table: RouteTable): (incoming: Incoming) => PreflightHeaders | undefined {
  const vary = ['vary', 'Origin'];
  const listed = new Map(
    config.origins.map((origin) => [
      origin,
      [
        ...['access-control-allow-origin', origin],
        ...(config.credentials ? ['access-control-allow-credentials', 'true'] : []),
        ...['access-control-expose-headers', [...readable, ...config.expose].join(', ')],
        ...vary,
      ],
    ]),
  );
  const answer = {
    ...securityHeaders,
    'access-control-allow-headers': [...settable, ...config.headers].join(', '),
    'access-control-max-age': String(config.maxAgeSec),
    ...(config.credentials && { 'access-control-allow-credentials': 'true' }),
    vary: 'Origin',
  };

  return (incoming) => {
    const { record, client } = incoming;
    const allowed = client.origin === undefined ? undefined : listed.get(client.origin);
    record.cors = allowed ?? vary;
    if (client.origin === undefined || !isPreflight(incoming)) return undefined;
    if (allowed === undefined) throw new AppError('origin_not_allowed');
    const methods = table.methodsAt(parseTarget(incoming.rawTarget).path);
    if (methods === undefined) throw new AppError('no_route');
    return {
      ...answer,
      'access-control-allow-origin': client.origin,
      'access-control-allow-methods': methods.join(', '),
      'x-request-id': record.requestId,
    };
  };
}

const isPreflight = ({ method, headers }: Incoming): boolean =>
  method === 'OPTIONS' && headers.some(([name]) => name.toLowerCase() === 'access-control-request-method');
