import { foldHeaderName, isReservedHeader } from '@countersign/identity';
import { z } from 'zod';
import { trust } from './values/key-class.ts';
import { headerName, parsedText, seconds, unique } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';

/** The callers that may get a token. Anonymous callers never do: a library takes every valid token for a login. */
const callerKind = z.enum(['user', 'client', 'service']);

/** The members that the gateway writes. */
const own =
  'iss aud sub iat nbf exp idp user_id role tenant_id caller client_id scope sid act auth_time amr jkt jti req';
/** The members that libraries and frameworks read as identity or permissions. */
const trusted =
  'typ cnf azp roles groups scp permissions authorities realm_access resource_access preferred_username upn nameid ' +
  'unique_name oid wids cognito:groups';
const refusedClaims: ReadonlySet<string> = new Set(`${own} ${trusted}`.split(' ').map(foldHeaderName));

const copiedClaim = parsedText(
  'claim',
  'the name of a claim without a slash, and none that the gateway writes or that libraries read as identity',
  (text) =>
    /^[^\s"\\/]{1,128}$/.test(text) && !text.includes('://') && !refusedClaims.has(foldHeaderName(text))
      ? text
      : undefined,
);

/** Headers that HTTP, browsers or the gateway give a meaning. A `*` matches any suffix. */
const taken = (
  'accept accept-* access-control-* age allow alt-svc authorization cache-control content-* cookie* date dpop* ' +
  'early-data etag expires forwarded from host if-* last-modified link location max-forwards origin pragma prefer priority range ' +
  'connection proxy-connection keep-alive te trailer transfer-encoding upgrade http2-settings proxy-authenticate ' +
  'proxy-authorization expect ratelimit* referer retry-after sec-* server set-cookie* signature* ' +
  'strict-transport-security traceparent tracestate baggage txn-token upgrade-insecure-requests user-agent vary via want-* warning www-authenticate x-forwarded* ' +
  'x-identity* x-request-id x-service* x-tenant* x-user*'
).split(' ');
const takenHeader = new RegExp(
  `^(?:${taken.map((name) => (name.endsWith('*') ? name.slice(0, -1) : `${name}$`)).join('|')})`,
);

const isFreeHeader = (folded: string): boolean =>
  folded === 'authorization' || !(takenHeader.test(folded) || isReservedHeader(folded));
const tokenHeader = headerName
  .refine((name) => isFreeHeader(foldHeaderName(name)), {
    error: 'must be "authorization", or a name that neither HTTP nor the gateway uses, such as "countersign-token"',
  })
  .transform((name) => name.toLowerCase());

/** The lifetime of an unbound token, and of one that is bound to its request. */
export const maxLifetimeSec = { none: 300, request: 60 } as const;

export const identityToken = z
  .strictObject({
    header: tokenHeader
      .prefault('countersign-token')
      .meta(
        trust("The header that carries the token. `authorization` replaces the client's with `Bearer` and the token."),
      ),
    callers: unique(callerKind)
      .min(1)
      .prefault(['user'])
      .meta(trust('Which callers get a token: `user`, `client` and `service`. Anonymous callers never do.', 'more')),
    lifetime: seconds({ min: '1s', max: '5m' })
      .prefault('30s')
      .meta(
        trust(
          "How long a token is valid: at most 60s with `bind: request`, and never longer than the caller's token.",
          'more',
        ),
      ),
    bind: z
      .enum(['request', 'none'])
      .default('request')
      .meta(trust('Whether the token names its one request in `req`. A service must check `req`: libraries do not.')),
    claims: unique(copiedClaim)
      .max(16)
      .prefault([])
      .meta(trust("Claims of the caller's token to copy, each at most 256 bytes.", 'more')),
    unauthorized: z
      .enum(['refuse', 'pass'])
      .default('refuse')
      .meta(trust("What a service's 401 means: `refuse` responds 502, because the gateway has verified the caller.")),
  })
  .refine(({ bind, lifetime }) => lifetime <= maxLifetimeSec[bind], {
    error: 'must be at most 60s with bind: request',
    path: ['lifetime'],
  })
  .transform(({ lifetime, ...rest }) => ({ ...rest, lifetimeSec: lifetime }))
  .describe('A JWT with the identity, for services with a JWT library. Requires `identity.issuer` and an ES256 key.');

/** The settings of the identity tokens that one upstream receives. */
export type IdentityToken = Immutable<z.output<typeof identityToken>>;

/** The issuer of the tokens for one upstream. Each has its own, so that a service that checks only `iss` is safe too. */
export const tokenIssuerOf = (issuer: string, upstream: string): string => `${issuer}/${upstream}`;

/** `sub` of tokens names a user by their id alone, so no id may look like another kind of caller. */
export const isReservedId = (id: string): boolean => /^(?:anonymous$|client:|service:)/i.test(id);
