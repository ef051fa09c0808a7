import { z } from 'zod';
import { parsePattern } from '../path-pattern.ts';
import { cookieName, name, role, seconds, size, unique, wholeNumber } from './scalars.ts';

/** TRACE and CONNECT are for proxies to answer, never to carry. */
export const method = z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const pattern = z
  .string({ error: 'must be a path, such as /v1/complaints/:id' })
  .superRefine((path, context) => {
    const segments = parsePattern(path);
    if (typeof segments === 'string') context.addIssue({ code: 'custom', message: `the path ${segments}` });
  })
  // For editors, which cannot ask it.
  .meta({
    pattern: /^(\/(:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9._~-]+))*\/(\*\*|:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9._~-]+)?$/
      .source,
  });

/** A literal path, for rewriting: whole segments, the root or no slash at its end. */
const prefix = z
  .string()
  .regex(/^\/$|^(\/[A-Za-z0-9._~-]+)+$/, {
    error: 'must be whole literal segments, such as /v1, without a slash at the end; or / alone',
  })
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), {
    error: 'must have no dot segments',
  });

const limit = z.strictObject({
  requests: wholeNumber(1, 1_000_000).describe('How many.'),
  per: seconds({ min: '1s', max: '1d' }).describe('In how long.'),
  by: z.enum(['user', 'tenant', 'address', 'route']).describe('Counted for whom. An anonymous user counts by address.'),
  onStoreFailure: z
    .enum(['local', 'deny'])
    .default('local')
    .describe('While Redis does not answer: `local` counts in each process, `deny` answers 503.'),
});

export const route = z.strictObject({
  name: name.describe('For logs, metrics and `explain`. Unique.'),
  path: pattern.describe(
    'Literal segments, `:name` for one, `**` at the end for any number. `/x/**` matches `/x` too.',
  ),
  methods: unique(method).min(1).describe('What is served here. GET implies HEAD.'),
  upstream: name.describe('Who answers: a key of `upstreams`.'),
  auth: z
    .enum(['required', 'optional', 'public', 'service'])
    .describe(
      'Must be written. `optional`: no token is anonymous, a bad one is refused. `service`: internal listener only.',
    ),
  allow: z
    .strictObject({
      roles: unique(role).min(1).optional().describe('The caller has one of these.'),
      tenant: z
        .string()
        .regex(/^:[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must be a parameter of the path, such as ":tenantId"' })
        .optional()
        .describe("The parameter of the path that must be the caller's tenant."),
    })
    .optional()
    .describe('Further conditions; needs `auth: required` or `service`.'),
  senderConstrained: z
    .literal('required')
    .optional()
    .describe(
      'A token must be bound to its client (DPoP). Absent: a bound token needs its proof, others pass as Bearer.',
    ),
  callers: unique(name).min(1).optional().describe('With `auth: service`: who may call, keys of `services`.'),
  limits: z.array(limit).max(8).prefault([]).describe('All of them hold.'),
  body: z
    .strictObject({
      mode: z
        .enum(['digest', 'stream', 'none'])
        .prefault('digest')
        .describe(
          '`digest`: read whole and covered by the signature. `stream`: passed on as it comes. `none`: refused.',
        ),
      maxBytes: size({ min: '1B', max: '16GiB' })
        .prefault('1MiB')
        .describe('More is 413. In mode `digest` 64MiB at most.'),
    })
    .prefault({})
    .describe('What it takes as a body.'),
  websocket: z.boolean().default(false).describe('Whether GET may upgrade.'),
  rewrite: z
    .strictObject({
      prefix: z
        .strictObject({
          from: prefix.describe('The front of `path`.'),
          to: prefix.describe('What stands there instead.'),
        })
        .describe('By whole segments.'),
    })
    .optional()
    .describe('What the upstream sees instead of the path.'),
  forward: z
    .strictObject({
      cookies: unique(cookieName).prefault([]).describe('Cookies that are otherwise stripped and may pass, both ways.'),
      authorization: z.boolean().default(false).describe("Whether the client's own `Authorization` passes."),
      dpop: z
        .boolean()
        .default(false)
        .describe(
          'For token endpoints: a `DPoP` proof is checked here also without an access token, named inwards as `jkt`, and passes.',
        ),
    })
    .prefault({})
    .describe('What is otherwise stripped and may pass here.'),
});

export type RoutePart = z.output<typeof route>;
