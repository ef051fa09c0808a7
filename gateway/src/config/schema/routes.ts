import { z } from 'zod';
import { parsePattern } from '../path-pattern.ts';
import { scalar } from './issuers/issuer-values.ts';
import type { Upstream } from './upstreams.ts';
import { operations, policy, trust } from './values/key-class.ts';
import {
  claimName,
  cookieName,
  name,
  partyName,
  role,
  scopeName,
  seconds,
  size,
  unique,
  wholeNumber,
} from './values/scalars.ts';
import { type Immutable, listOrAny, oneShape } from './values/shapes.ts';
import { issuerIdentifier } from './values/urls.ts';

const iss = issuerIdentifier.describe('The issuer that assigned this id. Required with two or more issuers.');

/**
 * An OAuth client or an actor that a route allows, by its name at `issuer`. If `issuer` is undefined, the token's
 * issuer counts.
 */
export type AllowedParty = Readonly<{ issuer: string | undefined; name: string }>;

const named = partyName.transform((name): AllowedParty => ({ issuer: undefined, name }));

const client = oneShape('text or map', 'a text, or { iss, id }', [
  named,
  z
    .strictObject({ iss, id: partyName.describe("The OAuth client's id.") })
    .transform(({ iss: issuer, id: name }) => ({ issuer, name })),
]);

export const actor = oneShape('text or map', 'a text, or { iss, sub }', [
  named,
  z
    .strictObject({ iss, sub: partyName.describe("The actor's `sub`.") })
    .transform(({ iss: issuer, sub: name }) => ({ issuer, name })),
]);

const maxParties = 100;
/** The maximum that fits into the identity context. */
const maxScopes = 64;

export const claimValues = z
  .record(claimName, unique(scalar).min(1).max(maxParties))
  .refine((claims) => Object.keys(claims).length > 0, { error: 'must name at least one claim' });

export const allow = z.strictObject({
  roles: unique(role).min(1).optional().meta(policy('The roles that may call this route.')),
  tenant: z
    .string()
    .regex(/^:[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must be a parameter of the path, such as ":tenantId"' })
    .optional()
    .meta(policy("The path parameter that must match the caller's tenant.")),
  scopes: listOrAny('scopes', unique(scopeName).min(1).max(maxScopes))
    .optional()
    .meta(
      policy('The scopes that a token must have, all of them. `any` requires none. Scopes are compared byte by byte.'),
    ),
  clients: listOrAny('clients', z.array(client).min(1).max(maxParties))
    .optional()
    .meta(policy('The OAuth clients that may call, or `any`. Without this key, no client may call for itself.')),
  actors: z
    .array(actor)
    .max(maxParties)
    .optional()
    .meta(
      policy('The actors that may act for the caller (RFC 8693). Without this key, tokens with `act` are refused.'),
    ),
  claims: claimValues.optional().meta(policy('Claims that the token must have, each with its accepted values.')),
});

/** The conditions on the caller, as in the file. A rule in routing/policy.ts decides each condition. */
export type Allow = Immutable<z.output<typeof allow>>;

export const requiredScopes = ({ scopes }: Allow): readonly string[] =>
  scopes === undefined || scopes === 'any' ? [] : scopes;

/** The methods that a route can serve. A proxy must not forward TRACE and CONNECT. */
export const method = z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const pattern = z
  .string({ error: 'must be a path, such as /v1/complaints/:id' })
  .superRefine((path, context) => {
    const segments = parsePattern(path);
    if (typeof segments === 'string') context.addIssue({ code: 'custom', message: `the path ${segments}` });
  })
  // Approximate, because only editors validate with it.
  .meta({
    pattern: /^(\/(:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9._~-]+))*\/(\*\*|:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9._~-]+)?$/
      .source,
  });

/** A literal prefix for `rewrite`: `/`, or whole segments without a trailing slash. */
const prefix = z
  .string()
  .regex(/^\/$|^(\/[A-Za-z0-9._~-]+)+$/, {
    error: 'must be whole literal segments, such as /v1, without a trailing slash; or just /',
  })
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), {
    error: 'must not have dot segments',
  });

const limit = z
  .strictObject({
    requests: wholeNumber(1, 1_000_000).meta(operations('How many requests are allowed in the period.')),
    per: seconds({ min: '1s', max: '1d' }).meta(operations('The period.')),
    by: z
      .enum(['user', 'client', 'tenant', 'address', 'route'])
      .meta(
        operations('What to count by. Anonymous callers are counted by address; OAuth clients have their own buckets.'),
      ),
    onStoreFailure: z
      .enum(['local', 'deny'])
      .default('local')
      .meta(
        operations(
          'What to do while Redis is unavailable: `local` counts in each process, and `deny` responds with 503.',
        ),
      ),
  })
  .transform(({ per, ...rest }) => ({ ...rest, perSec: per }));

const limits = z.array(limit).max(8).prefault([]).describe('The rate limits. A request must be within all of them.');

/** Allows at most `requests` in any `perSec` seconds. `by: user` counts anonymous callers by address. */
export type Limit = Immutable<z.output<typeof limit>>;

export const route = z.strictObject({
  name: name.meta(operations('A unique name for logs, metrics and `explain`.')),
  path: pattern.meta(policy('Literals, `:name` for a segment, `**` at the end for any number. `/x/**` matches `/x`.')),
  methods: unique(method).min(1).meta(policy('The methods that the route serves. GET implies HEAD.')),
  upstream: name.meta(trust('The upstream, by its key in `upstreams`.')),
  auth: z
    .enum(['required', 'optional', 'public', 'service'])
    .meta(
      policy('`optional`: anyone, but an invalid token is refused. `service`: services, on the internal listener.'),
    ),
  allow: allow.optional().describe('Conditions on the caller. Requires `auth: required` or `service`.'),
  senderConstrained: z
    .literal('required')
    .optional()
    .meta(policy('Requires tokens that are bound to a key (DPoP). Default: only bound tokens need a proof.')),
  callers: unique(name).min(1).optional().meta(policy('The services that may call. Requires `auth: service`.')),
  limits,
  body: z
    .strictObject({
      mode: z
        .enum(['digest', 'stream', 'none'])
        .prefault('digest')
        .meta(trust('`digest` buffers and signs the body, `stream` forwards it as it arrives, and `none` refuses it.')),
      unsigned: z
        .literal('accept')
        .optional()
        .meta(trust('Accepts that the proxy could replace the body. Required with `decision` and `mode: stream`.')),
      maxBytes: size({ min: '1B', max: '16GiB' })
        .prefault('1MiB')
        .meta(operations('The maximum body size. A larger body gets 413. With `digest`, the limit is 64MiB.')),
    })
    .prefault({})
    .describe('How the gateway handles request bodies.'),
  longLived: z
    .literal('accept')
    .optional()
    .meta(trust('Accepts that a WebSocket or stream may outlive its token. Required with `decision`.')),
  websocket: z.boolean().default(false).meta(policy('Whether a GET request may open a WebSocket.')),
  rewrite: z
    .strictObject({
      prefix: z
        .strictObject({
          from: prefix.describe('The segments to replace, at the start of `path`.'),
          to: prefix.describe('The replacement.'),
        })
        .describe('Replaces segments at the start of the path.'),
    })
    .transform(({ prefix: segments }) => segments)
    .optional()
    .meta(trust('Changes the path that the upstream receives.')),
  forward: z
    .strictObject({
      cookies: unique(cookieName)
        .prefault([])
        .meta(trust('The cookies to forward. No other route forwards them, unless it names them too.', 'more')),
      authorization: z
        .boolean()
        .default(false)
        .meta(trust("Whether to forward the client's `Authorization` header.", 'more')),
      dpop: z
        .boolean()
        .default(false)
        .meta(
          trust(
            'For token endpoints: verifies the `DPoP` proof, signs its key as `jkt`, and forwards the proof.',
            'more',
          ),
        ),
    })
    .prefault({})
    .describe('The credentials to forward. By default, the gateway removes them.'),
  // `flattenRoutes` has replaced groups before this schema sees them.
  routes: z
    .never()
    .optional()
    .meta({ 'x-type': 'list of routes' })
    .meta(policy('Makes this entry a group. Its routes inherit every key that they do not set themselves.')),
});

type RoutePart = z.output<typeof route>;
export type Scheme = 'Bearer' | 'DPoP';

export type AuthMode = Route['auth'];

export type Route = Immutable<ReturnType<typeof resolveRoute>>;

const anyCaller: Allow = {};

type ResolveOptions = Readonly<{
  upstream: Upstream;
  /** Whether the file sets `publicOrigins`. Without them, no proof can be verified. */
  hasOrigins: boolean;
  /** See `CookieRule`. */
  guarded: ReadonlySet<string>;
  /** The folded names of all headers that carry identity tokens, except `authorization`. */
  tokenHeaders: ReadonlySet<string>;
  /** The keys from groups, outermost first. `at` is a `file:line:column`. */
  inherited: readonly Readonly<{ group: string; keys: readonly string[]; at: string }>[];
}>;

export function resolveRoute(
  { routes: _, ...part }: RoutePart,
  { upstream, hasOrigins, guarded, tokenHeaders, inherited }: ResolveOptions,
) {
  const senderConstrained = part.senderConstrained === 'required';
  const bearer: readonly Scheme[] = senderConstrained ? [] : ['Bearer'];
  return {
    ...part,
    methods: part.methods as readonly string[],
    upstream,
    inherited,
    allow: part.allow ?? anyCaller,
    senderConstrained,
    /** The challenges to send to a client without a token. */
    schemes: hasOrigins ? ([...bearer, 'DPoP'] as const) : (['Bearer'] as const satisfies readonly Scheme[]),
    callers: new Set(part.callers),
    /** Response headers that could reveal an identity token. Undefined if no upstream receives one. */
    hiddenHeaders: hiddenHeaders(upstream, tokenHeaders),
    forward: { ...part.forward, cookies: new Set(part.forward.cookies), guarded },
  };
}

/** A service could echo its request. A 401 in the service's name would send clients to another login. */
function hiddenHeaders(
  { identity: { token } }: Upstream,
  tokenHeaders: ReadonlySet<string>,
): ReadonlySet<string> | undefined {
  const own = token === undefined ? [] : ['authorization', 'www-authenticate'];
  return own.length === 0 && tokenHeaders.size === 0 ? undefined : new Set([...tokenHeaders, ...own]);
}
