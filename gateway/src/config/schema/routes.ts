import { z } from 'zod';
import { limitKinds } from '../config.ts';
import { parsePattern } from '../path-pattern.ts';
import { allowedActors, allowedClients, allowedScopes, claimValues } from './allow.ts';
import { cookieName, name, role, seconds, size, unique, wholeNumber } from './values/scalars.ts';

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
    error: 'must be whole literal segments, such as /v1, without a slash at the end; or / alone',
  })
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), {
    error: 'must not have dot segments',
  });

const limit = z.strictObject({
  requests: wholeNumber(1, 1_000_000).describe('The number of requests.'),
  per: seconds({ min: '1s', max: '1d' }).describe('The period.'),
  by: z
    .enum(limitKinds)
    .describe('What requests are counted by. Anonymous callers count by address; a machine has buckets of its own.'),
  onStoreFailure: z
    .enum(['local', 'deny'])
    .default('local')
    .describe('While Redis is unavailable, `local` counts in each process and `deny` responds 503.'),
});

export const route = z.strictObject({
  name: name.describe('A unique name for logs, metrics and `explain`.'),
  path: pattern.describe(
    'Literal segments, `:name` for one segment, `**` at the end for any number. `/x/**` also matches `/x`.',
  ),
  methods: unique(method).min(1).describe('The methods that are served. GET implies HEAD.'),
  upstream: name.describe('The upstream: a key of `upstreams`.'),
  auth: z
    .enum(['required', 'optional', 'public', 'service'])
    .describe(
      'Required, without a default. `optional`: no token means anonymous, an invalid token is refused. `service`: internal listener only.',
    ),
  allow: z
    .strictObject({
      roles: unique(role).min(1).optional().describe('The roles that are allowed.'),
      tenant: z
        .string()
        .regex(/^:[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must be a parameter of the path, such as ":tenantId"' })
        .optional()
        .describe("The path parameter that must equal the caller's tenant."),
      scopes: allowedScopes
        .optional()
        .describe(
          'The scopes that a token must have, all of them; `any` says that none is needed. Compared byte by byte.',
        ),
      clients: allowedClients
        .optional()
        .describe('The clients that may call, by id, or `any`. Machines may call only routes that have this key.'),
      actors: allowedActors
        .optional()
        .describe('The actors that may act for the caller (RFC 8693), by `sub`. A token with `act` needs this key.'),
      claims: claimValues.optional().describe('Claims of the token, each with its accepted values.'),
    })
    .optional()
    .describe('Conditions on the caller. Requires `auth: required` or `service`.'),
  senderConstrained: z
    .literal('required')
    .optional()
    .describe(
      'Requires tokens bound to a key of the client (DPoP). Default: bound tokens need a proof, others are accepted as Bearer.',
    ),
  callers: unique(name)
    .min(1)
    .optional()
    .describe('With `auth: service`: the services that may call, as keys of `services`.'),
  limits: z.array(limit).max(8).prefault([]).describe('Rate limits. All of them apply.'),
  body: z
    .strictObject({
      mode: z
        .enum(['digest', 'stream', 'none'])
        .prefault('digest')
        .describe(
          '`digest`: buffered and covered by the signature. `stream`: forwarded as it arrives. `none`: refused; the empty body is covered.',
        ),
      maxBytes: size({ min: '1B', max: '16GiB' })
        .prefault('1MiB')
        .describe('The maximum size; a larger body is 413. With `digest`, 64MiB at most.'),
    })
    .prefault({})
    .describe('How request bodies are handled.'),
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
    .optional()
    .describe('Changes the path for the upstream.'),
  forward: z
    .strictObject({
      cookies: unique(cookieName).prefault([]).describe('Names of cookies that are forwarded in both directions.'),
      authorization: z.boolean().default(false).describe("Whether the client's `Authorization` header is forwarded."),
      dpop: z
        .boolean()
        .default(false)
        .describe(
          'For token endpoints: verifies a `DPoP` proof without an access token, signs its key as `jkt`, and forwards the proof.',
        ),
    })
    .prefault({})
    .describe('Credentials that are forwarded; the default strips them.'),
});

export type RoutePart = z.output<typeof route>;
