import { resolve } from 'node:path';
import { z } from 'zod';
import { type Preset, presetOf, providers } from '../../presets.ts';
import type { Pieces } from '../cross-checks.ts';
import { claimName, duration, id, name, role, seconds, text, unique } from '../values/scalars.ts';
import { type Immutable, listOrAny, oneShape } from '../values/shapes.ts';
import { calledUrl, isFetched, issuerIdentifier, keySource } from '../values/urls.ts';
import { events, resolveEvents } from './events.ts';
import {
  claimPath,
  conditions,
  roleSource,
  type SigningAlgorithm,
  signingAlgorithms,
  type TokenType,
  tenantSource,
  tokenTypes,
  type ValueSource,
} from './issuer-values.ts';

const audience = oneShape('string or list', 'a text, or a list of texts', [
  text.transform((one) => [one]),
  unique(text).min(1).max(32),
]);

const variableValue = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, { error: 'must be letters, digits and "-", at most 64' });

const template = z
  .record(z.string(), listOrAny('values', unique(variableValue).min(1).max(100)))
  .refine((variables) => Object.keys(variables).length === 1, { error: 'must have exactly one variable' });

const prefix = z
  .string()
  .regex(/^[A-Za-z0-9._~:@|-]{1,64}$/, { error: 'must be letters, digits and "._~:@|-", at most 64' });

const machines = oneShape('none, or map', 'none, or a map with `when`', [
  z.literal('none'),
  z.strictObject({
    when: conditions.optional().describe('The claims that only tokens of machines have. Presets define their own.'),
    role: roleSource.optional().describe('The role of machines. Default: none.'),
    tenantId: tenantSource.optional().describe('The tenant of machines. Default: none.'),
  }),
]);

export const issuer = z.strictObject({
  name: name.optional().describe('A name for the console, `countersign explain` and `countersign token`.'),
  provider: z
    .enum(providers)
    .optional()
    .describe('Sets the token types, the keys and the usual claims of a provider. Other keys override it.'),
  issuer: issuerIdentifier.describe('The `iss` of its tokens, byte by byte. May have a variable, such as `{tid}`.'),
  template: template.optional().describe('The values of the variable, at most 100, or `any` (which needs `jwks`).'),
  audience: audience
    .optional()
    .describe('The values of which `aud` must contain one. Required, unless the tokens of `provider` have no `aud`.'),
  clients: unique(text).min(1).max(100).optional().describe('The clients that may use its tokens. Default: any.'),
  jwks: keySource.optional().describe('Where its keys are: a URL, or the path of a JWK set.'),
  discovery: z
    .boolean()
    .optional()
    .describe('Whether the URL of the keys is read from the metadata of the issuer. Default with `provider`: true.'),
  algorithms: unique(z.enum(signingAlgorithms))
    .min(1)
    .optional()
    .describe('The signing algorithms. Default: ES256, RS256 and EdDSA, or those of `provider`.'),
  types: unique(z.enum(tokenTypes))
    .min(1)
    .optional()
    .describe(
      'The accepted values of the `typ` header. `none` accepts tokens without one. `id-token` cannot be combined with other values. Default: `at+jwt`.',
    ),
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
      sessionId: claimPath.optional().describe('The session id. Default: `sid`, or that of `provider`.'),
      scope: claimPath.optional().describe('The scopes: a list, or a text. Default: `scope`, or that of `provider`.'),
      client: claimName.optional().describe('The client. Default: `client_id` and `azp`, or those of `provider`.'),
    })
    .prefault({})
    .describe('The claims that identify the caller: names, paths, or maps of values.'),
  subjectEncoding: z
    .enum(['none', 'base64url'])
    .prefault('none')
    .describe('`base64url` encodes user ids with characters that an id cannot have.'),
  userPrefix: prefix.optional().describe('A prefix of each user id, so that two issuers can share a tenant.'),
  tenantPrefix: prefix
    .optional()
    .describe('A prefix of each tenant id, so that two issuers cannot name the same tenant.'),
  sameSubjects: z
    .boolean()
    .default(false)
    .describe('Whether a user id means the same person as at other issuers with this key, which may share tenants.'),
  machines: machines
    .optional()
    .describe('Accepts tokens of machines. Default: they are refused. Required for types but `at+jwt`.'),
  maxTokenLifetime: seconds({ min: '1m', max: '30d' })
    .prefault('24h')
    .describe('The longest accepted time from `iat` to `exp`.'),
  tenants: unique(id)
    .min(1)
    .optional()
    .describe('The tenants that its tokens may name. With two or more issuers, each needs a limited set of tenants.'),
  roles: unique(role)
    .min(1)
    .optional()
    .describe('The roles that its tokens may name. With two or more issuers, each needs a limited set of roles.'),
  revocations: z
    .strictObject({
      url: calledUrl.describe('The URL of the feed. Requests carry a signed `x-identity: gateway`.'),
      maxStaleness: duration({ min: '1s', max: '1h' })
        .prefault('30s')
        .describe('The maximum age of the last successful read.'),
      onStale: z.enum(['allow', 'deny']).prefault('allow').describe('Whether tokens are still accepted after that.'),
    })
    .transform(({ maxStaleness, ...feed }) => ({ ...feed, maxStalenessMs: maxStaleness }))
    .optional()
    .describe('The feed of revoked sessions, users, tenants and keys. Makes the session id required.'),
  events: events.optional(),
});

type IssuerPart = z.output<typeof issuer>;
export type IssuerPieces = Pieces<IssuerPart>;

export const algorithmsOf = ({ algorithms, provider }: IssuerPieces): readonly SigningAlgorithm[] =>
  algorithms ?? presetOf(provider).algorithms;

export const typesOf = ({ types, provider }: IssuerPieces): readonly TokenType[] => types ?? presetOf(provider).types;

/**
 * Whether the strict rules of RFC 9068 apply: `jti` and a well-formed `amr`, and neither a preset nor an additional
 * test.
 */
export const isStrict = (part: IssuerPieces): boolean =>
  part.provider === undefined && typesOf(part).every((type) => type === 'at+jwt');

export const isDiscovered = ({ discovery, jwks, provider }: IssuerPieces): boolean =>
  jwks === undefined && (discovery ?? provider !== undefined);

/** Whether a token may lack `aud`, because this provider's tokens have none. Then `clients` is required. */
export const mayLackAudience = (part: IssuerPieces): boolean =>
  presetOf(part.provider).mayLackAudience && !typesOf(part).includes('id-token');

/** The scopes and claims that a route or a service uses. All others of a token are dropped. */
export type KeptClaims = Readonly<{ scopes: ReadonlySet<string>; claims: readonly string[] }>;

/** If `value` is undefined, any value, read from `iss`. */
export type Template = Readonly<{ variable: string; value: string | undefined }> | undefined;

type ResolveOptions = Readonly<{
  directory: string;
  kept: KeptClaims;
  /**
   * A string of the issuer's entry in which variables are replaced by their names, for operators. Empty if there are
   * none.
   */
  redactedAt(...keys: readonly string[]): string;
}>;

/** An issuer of tokens, and the claims that its tokens may have. Plain data, because it is sent between threads. */
export type Issuer = Immutable<ReturnType<typeof resolveOne>>;

/** The issuers of one entry of the file: one, or one for each value of its template. */
export function resolveIssuers(part: IssuerPart, options: ResolveOptions): readonly Issuer[] {
  const [variable, values] = Object.entries(part.template ?? {})[0] ?? [];
  if (variable === undefined || values === undefined) {
    const template = part.provider === 'entra' ? entraTenantIn(part.issuer) : undefined;
    return [resolveOne(part, part.issuer, template, options)];
  }
  if (values === 'any') return [resolveOne(part, part.issuer, { variable, value: undefined }, options)];
  const issuerOf = (value: string) => part.issuer.replace(`{${variable}}`, value);
  return values.map((value) => resolveOne(part, issuerOf(value), { variable, value }, options));
}

const entraIssuer = /^https:\/\/[^/]+\/([A-Za-z0-9-]{1,64})\/(?:v2\.0\/?)?$/;

/** An Entra issuer always names its tenant, even if the file has no template. */
function entraTenantIn(issuer: string): Template {
  const value = entraIssuer.exec(issuer)?.[1];
  return value === undefined ? undefined : { variable: 'tid', value };
}

function resolveOne(
  { maxTokenLifetime, ...part }: IssuerPart,
  iss: string,
  template: Template,
  { directory, kept, redactedAt }: ResolveOptions,
) {
  const { revocations, jwks = '' } = part;
  const preset = presetOf(part.provider);
  const types = typesOf(part);
  const discovery = isDiscovered(part);
  const sourceOf = (keySource: string) => (isFetched(keySource) ? keySource : resolve(directory, keySource));
  const keys = discovery ? iss : sourceOf(jwks);
  return {
    ...part,
    issuer: iss,
    template,
    audience: part.audience ?? [],
    mayLackAudience: mayLackAudience(part),
    jwks: keys,
    shownJwks: redactedAt('jwks') || keys,
    discovery,
    algorithms: algorithmsOf(part),
    types,
    /** Conditions on a token whose header does not indicate its kind. */
    typeTest: (types.includes('id-token') ? preset.idToken : preset.accessToken) ?? [],
    require: part.require ?? [],
    claims: claimsOf(part.claims, preset, template),
    userPrefix: part.userPrefix ?? '',
    tenantPrefix: part.tenantPrefix ?? '',
    machines: machinesOf(part.machines, preset),
    kept,
    isStrict: isStrict(part),
    maxTokenLifetimeSec: maxTokenLifetime,
    tenants: part.tenants && new Set(part.tenants),
    roles: part.roles && new Set(part.roles),
    revocations: revocations && { ...revocations, shownUrl: redactedAt('revocations', 'url') || revocations.url },
    events: part.events && resolveEvents(part.events, { provider: part.provider, issuer: iss }, sourceOf),
  };
}

/** How a machine's tokens are recognized. A token whose subject equals its client always belongs to a machine. */
function machinesOf(machines: IssuerPart['machines'], { machines: known = [] }: Preset) {
  // They are still recognized, because they must not be mistaken for users.
  if (machines === 'none' || machines === undefined) {
    return { isAccepted: false, when: known, role: undefined, tenantId: undefined };
  }
  const { when = [], role, tenantId } = machines;
  return { isAccepted: true, when: [...known, ...when], role, tenantId };
}

/** @param template Undefined if the issuer has no variable that could name the tenant. */
function claimsOf({ client, ...claims }: IssuerPart['claims'], preset: Preset, template: Template) {
  const given = Object.fromEntries(Object.entries(claims).filter(([, source]) => source !== undefined));
  const all: Preset['claims'] = { ...preset.claims, ...given };
  // Only Entra's preset reads the issuer, and its tokens have the same value in a claim.
  const isInClaim = all.tenantId.kind === 'fromIssuer' && template === undefined;
  const tenantId: ValueSource = isInClaim ? { kind: 'claim', path: ['tid'] } : all.tenantId;
  /** `client` lists the names of claims with the client. All that are present must be equal. */
  return { ...all, tenantId, client: client === undefined ? preset.client : [client] };
}
