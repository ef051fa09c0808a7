import { z } from 'zod';
import { type Conditions, providers, signingAlgorithms, tokenTypes, type ValueSource } from '../../issuer.ts';
import type { Pieces } from '../cross-checks.ts';
import { claimName, duration, id, name, role, seconds, text, unique } from '../values/scalars.ts';
import { isList, isMap, isText, oneShape } from '../values/shapes.ts';
import { calledUrl, issuerIdentifier, keySource } from '../values/urls.ts';
import { claimPath, conditions, roleSource, tenantSource } from './claim-sources.ts';

const audience = oneShape<readonly string[]>('string or list', 'a text, or a list of texts', [
  { fits: isText, schema: text.transform((one) => [one]) },
  { fits: isList, schema: unique(text).min(1).max(32) },
]);

const variableValue = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, { error: 'must be letters, digits and "-", 64 at most' });

const template = z
  .record(
    z.string(),
    oneShape<readonly string[] | 'any'>('list, or any', 'a list of values, or any', [
      { fits: (raw) => raw === 'any', schema: z.literal('any') },
      { fits: isList, schema: unique(variableValue).min(1).max(100) },
    ]),
  )
  .refine((variables) => Object.keys(variables).length === 1, { error: 'must have exactly one variable' });

const prefix = z
  .string()
  .regex(/^[A-Za-z0-9._~:@|-]{1,64}$/, { error: 'must be letters, digits and "._~:@|-", 64 at most' });

const machines = oneShape<MachinesPart>('none, or map', 'none, or a map with `when`', [
  { fits: (raw) => raw === 'none', schema: z.literal('none') },
  {
    fits: isMap,
    schema: z.strictObject({
      when: conditions
        .optional()
        .describe(
          'The claims that only a machine token has. A preset has its own. A token whose `sub` is its client always is one.',
        ),
      role: roleSource
        .optional()
        .describe('The role of machines. Default: none. A machine may lack a role that is a claim.'),
      tenantId: tenantSource.optional().describe('The tenant of machines. Default: none.'),
    }),
  },
]);

export const issuer = z.strictObject({
  name: name.optional().describe('A name for the console, `countersign explain` and `countersign token`.'),
  provider: z
    .enum(providers)
    .optional()
    .describe('Sets the token types, the keys and the usual claims of a provider. Other keys override it.'),
  issuer: issuerIdentifier.describe(
    'The `iss` of its tokens, compared byte by byte. May contain one variable of `template`, as `{tid}`.',
  ),
  template: template
    .optional()
    .describe(
      'The values of the variable in `issuer`, at most 100. `any` needs `jwks` and `tenantId: { fromIssuer }`.',
    ),
  audience: audience
    .optional()
    .describe('The values of which `aud` must contain one. Required, unless the tokens of `provider` have no `aud`.'),
  clients: unique(text)
    .min(1)
    .max(100)
    .optional()
    .describe('The clients that may use its tokens. Default: any. Compared with `claims.client`.'),
  jwks: keySource
    .optional()
    .describe('Where the issuer publishes its keys: a URL, or the path of a JWK set, read again every 5 s.'),
  discovery: z
    .boolean()
    .optional()
    .describe('Whether the URL of the keys is read from the metadata of the issuer. Default with `provider`: true.'),
  algorithms: unique(z.enum(signingAlgorithms))
    .min(1)
    .optional()
    .describe(
      'The accepted signing algorithms. `EdDSA` also accepts the name `Ed25519`. Default: ES256, RS256 and EdDSA, or those of `provider`.',
    ),
  types: unique(z.enum(tokenTypes))
    .min(1)
    .optional()
    .describe('The accepted values of the header `typ`. `none`: no `typ`. `id-token` stands alone. Default: `at+jwt`.'),
  require: conditions
    .optional()
    .describe('Claims that a token must have. Without `provider`, required for every type but `at+jwt`.'),
  claims: z
    .strictObject({
      userId: claimPath.optional().describe('The user id. Default: `user_id`, or that of `provider`.'),
      role: roleSource.optional().describe('The role. Default: the claim `role`; with `provider`, the role `user`.'),
      tenantId: tenantSource
        .optional()
        .describe('The tenant. Default: the claim `tenant_id`; with `provider`, the tenant `default`.'),
      sessionId: claimPath.optional().describe('The session. Default: `sid`, or that of `provider`.'),
      scope: claimPath
        .optional()
        .describe(
          'The scopes: a list, or a text, which is split at spaces in `scope` and `scp`. Default: `scope`, or that of `provider`.',
        ),
      client: claimName.optional().describe('The client. Default: `client_id` and `azp`, or those of `provider`.'),
    })
    .prefault({})
    .describe('The claims that identify the caller: names, paths, or maps of values.'),
  subjectEncoding: z
    .enum(['none', 'base64url'])
    .prefault('none')
    .describe('`base64url` encodes user ids with characters that an id cannot have.'),
  userPrefix: prefix.optional().describe('Stands before each user id, so that two issuers can share a tenant.'),
  tenantPrefix: prefix.optional().describe('Stands before each tenant id, so that two issuers cannot name the same.'),
  sameSubjects: z
    .boolean()
    .default(false)
    .describe('Whether user ids mean the same people as at other issuers with this key, which may share its tenants.'),
  machines: machines
    .optional()
    .describe(
      'Accepts the tokens of machines, which are never users. Default: they are refused. Required with `types` other than `at+jwt`.',
    ),
  maxTokenLifetime: seconds({ min: '1m', max: '30d' })
    .prefault('24h')
    .describe('The longest accepted time from `iat` to `exp`.'),
  tenants: unique(id)
    .min(1)
    .optional()
    .describe('The tenants that its tokens may name. With two or more issuers, each needs a bounded set of tenants.'),
  roles: unique(role)
    .min(1)
    .optional()
    .describe('The roles that its tokens may name. With two or more issuers, each needs a bounded set of roles.'),
  revocations: z
    .strictObject({
      url: calledUrl.describe('The URL of the feed. Requests carry a signed `x-identity: gateway`.'),
      maxStaleness: duration({ min: '1s', max: '1h' })
        .prefault('30s')
        .describe('How long ago the last successful read may be.'),
      onStale: z
        .enum(['allow', 'deny'])
        .prefault('allow')
        .describe('Whether tokens are accepted when the feed is older than that.'),
    })
    .optional()
    .describe('The feed of revoked sessions, users, tenants and keys. Makes the session id required.'),
});

type MachinesPart =
  | 'none'
  | { when?: Conditions | undefined; role?: ValueSource | undefined; tenantId?: ValueSource | undefined };

export type IssuerPart = z.output<typeof issuer>;

export type IssuerPieces = Pieces<IssuerPart>;
