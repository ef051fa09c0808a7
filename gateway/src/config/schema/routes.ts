import { z } from 'zod';
import { parsePattern } from '../path-pattern.ts';
import { type Allow, allow } from './allow.ts';
import type { Pieces } from './cross-checks.ts';
import { limits } from './limits.ts';
import type { Upstream } from './upstreams.ts';
import { cookieName, name, size, unique } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';

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

export const route = z.strictObject({
  name: name.describe('A unique name for logs, metrics and `explain`.'),
  path: pattern.describe(
    'The path pattern: literals, `:name` for one segment, and `**` at the end for any number. `/x/**` matches `/x`.',
  ),
  methods: unique(method).min(1).describe('The methods that the route serves. GET implies HEAD.'),
  upstream: name.describe('The upstream, by its key in `upstreams`.'),
  auth: z
    .enum(['required', 'optional', 'public', 'service'])
    .describe(
      'Who may call. `optional`: anyone, but an invalid token is refused. `service`: services, on the internal listener.',
    ),
  allow: allow.optional().describe('Conditions on the caller. Requires `auth: required` or `service`.'),
  senderConstrained: z
    .literal('required')
    .optional()
    .describe('Requires tokens that are bound to a key (DPoP). Default: only bound tokens need a proof.'),
  callers: unique(name).min(1).optional().describe('The services that may call. Requires `auth: service`.'),
  limits,
  body: z
    .strictObject({
      mode: z
        .enum(['digest', 'stream', 'none'])
        .prefault('digest')
        .describe('`digest` buffers and signs the body, `stream` forwards it as it arrives, and `none` refuses it.'),
      unsigned: z
        .literal('accept')
        .optional()
        .describe('Accepts that the proxy could replace the body. Required with `decision` and `mode: stream`.'),
      maxBytes: size({ min: '1B', max: '16GiB' })
        .prefault('1MiB')
        .describe('The maximum body size. A larger body gets 413. With `digest`, the limit is 64MiB.'),
    })
    .prefault({})
    .describe('How the gateway handles request bodies.'),
  longLived: z
    .literal('accept')
    .optional()
    .describe('Accepts that a WebSocket or stream may outlive its token. Required with `decision`.'),
  websocket: z.boolean().default(false).describe('Whether a GET request may open a WebSocket.'),
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
    .describe('Changes the path that the upstream receives.'),
  forward: z
    .strictObject({
      cookies: unique(cookieName)
        .prefault([])
        .describe(
          'The cookies to forward. A cookie that one route names is forwarded on no route that does not name it.',
        ),
      authorization: z.boolean().default(false).describe("Whether to forward the client's `Authorization` header."),
      dpop: z
        .boolean()
        .default(false)
        .describe(
          'For token endpoints: verifies the `DPoP` proof, adds its key to the signed context as `jkt`, and forwards the proof.',
        ),
    })
    .prefault({})
    .describe('The credentials to forward. By default, the gateway removes them.'),
  // `flattenRoutes` has replaced groups before this schema sees them.
  routes: z
    .never()
    .optional()
    .meta({ 'x-type': 'list of routes' })
    .describe('Makes this entry a group. Its routes inherit every key that they do not set themselves.'),
});

type RoutePart = z.output<typeof route>;
export type RoutePieces = Pieces<RoutePart>;

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
  /** The keys from groups, outermost first. `at` is a `file:line:column`. */
  inherited: readonly Readonly<{ group: string; keys: readonly string[]; at: string }>[];
}>;

export function resolveRoute(
  { routes: _, ...part }: RoutePart,
  { upstream, hasOrigins, guarded, inherited }: ResolveOptions,
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
    /** The services that may call the route on the internal listener. Empty unless `auth` is `service`. */
    callers: new Set(part.callers),
    forward: { ...part.forward, cookies: new Set(part.forward.cookies), guarded },
  };
}
