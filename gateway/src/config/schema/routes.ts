import { z } from 'zod';
import { parsePattern } from '../path-pattern.ts';
import { type Allow, allow } from './allow.ts';
import type { Pieces } from './cross-checks.ts';
import { limits } from './limits.ts';
import type { Upstream } from './upstreams.ts';
import { cookieName, name, size, unique } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';

/** Methods that a route can serve. TRACE and CONNECT must not be forwarded. */
export const method = z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const pattern = z
  .string({ error: 'must be a path, such as /v1/complaints/:id' })
  .superRefine((path, context) => {
    const segments = parsePattern(path);
    if (typeof segments === 'string') context.addIssue({ code: 'custom', message: `the path ${segments}` });
  })
  // Approximate: only for validation in editors.
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
  path: pattern.describe('Literals, `:name` for one segment, `**` at the end for any number. `/x/**` matches `/x`.'),
  methods: unique(method).min(1).describe('The methods that are served. GET implies HEAD.'),
  upstream: name.describe('The upstream: a key of `upstreams`.'),
  auth: z
    .enum(['required', 'optional', 'public', 'service'])
    .describe('`optional`: no token means anonymous, an invalid one is refused. `service`: internal listener only.'),
  allow: allow.optional().describe('Conditions on the caller. Requires `auth: required` or `service`.'),
  senderConstrained: z
    .literal('required')
    .optional()
    .describe('Requires tokens bound to a key (DPoP). Default: only bound tokens need a proof.'),
  callers: unique(name).min(1).optional().describe('With `auth: service`: the services that may call.'),
  limits,
  body: z
    .strictObject({
      mode: z
        .enum(['digest', 'stream', 'none'])
        .prefault('digest')
        .describe('`digest`: buffered and signed. `stream`: forwarded as it arrives. `none`: refused.'),
      unsigned: z
        .literal('accept')
        .optional()
        .describe('With `decision` and `mode: stream`: the proxy could exchange the body.'),
      maxBytes: size({ min: '1B', max: '16GiB' })
        .prefault('1MiB')
        .describe('The maximum size; a larger body is 413. With `digest`, 64MiB at most.'),
    })
    .prefault({})
    .describe('How request bodies are handled.'),
  longLived: z.literal('accept').optional().describe('With `decision`: a WebSocket or stream may outlive its token.'),
  websocket: z.boolean().default(false).describe('Whether GET may upgrade to a WebSocket.'),
  rewrite: z
    .strictObject({
      prefix: z
        .strictObject({
          from: prefix.describe('The start of `path`.'),
          to: prefix.describe('The replacement.'),
        })
        .describe('Replaces whole segments at the start of the path.'),
    })
    .transform(({ prefix: segments }) => segments)
    .optional()
    .describe('Changes the path for the upstream.'),
  forward: z
    .strictObject({
      cookies: unique(cookieName)
        .prefault([])
        .describe('Cookies that pass on this route and on no other that does not name them.'),
      authorization: z.boolean().default(false).describe("Whether the client's `Authorization` header is forwarded."),
      dpop: z
        .boolean()
        .default(false)
        .describe('For token endpoints: verifies the `DPoP` proof, signs its key as `jkt`, and forwards it.'),
    })
    .prefault({})
    .describe('Credentials that are forwarded; the default strips them.'),
  // `flattenRoutes` has replaced groups before this schema sees them.
  routes: z
    .never()
    .optional()
    .meta({ 'x-type': 'list of routes' })
    .describe('Makes this a group. Its routes inherit every key that they do not set themselves.'),
});

type RoutePart = z.output<typeof route>;
export type RoutePieces = Pieces<RoutePart>;

export type Scheme = 'Bearer' | 'DPoP';

export type AuthMode = Route['auth'];

export type Route = Immutable<ReturnType<typeof resolveRoute>>;

const anyCaller: Allow = {};

type ResolveOptions = Readonly<{
  upstream: Upstream;
  /** Whether the file has `publicOrigins`, without which no proof can be verified. */
  hasOrigins: boolean;
  /** See `CookieRule`. */
  guarded: ReadonlySet<string>;
  /** Keys from groups, outermost first. `at` is a `file:line:column`. */
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
    /** The challenges for a client without a token. */
    schemes: hasOrigins ? ([...bearer, 'DPoP'] as const) : (['Bearer'] as const satisfies readonly Scheme[]),
    /** The services that may call it on the internal listener. Empty unless `auth` is `service`. */
    callers: new Set(part.callers),
    forward: { ...part.forward, cookies: new Set(part.forward.cookies), guarded },
  };
}
