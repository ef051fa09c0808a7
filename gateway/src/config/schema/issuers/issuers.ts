import { resolve } from 'node:path';
import { z } from 'zod';
import { type Preset, presetOf, providers } from '../../presets.ts';
import { operations, policy, trust } from '../values/key-class.ts';
import { claimName, duration, id, name, role, seconds, text, unique } from '../values/scalars.ts';
import { type Immutable, listOrAny, oneShape, type Pieces } from '../values/shapes.ts';
import { calledUrl, isFetched, issuerIdentifier, keySource } from '../values/urls.ts';
import { events, introspection, resolveEvents, resolveIntrospection } from './events.ts';
import {
  audience,
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
    when: conditions.optional().describe('Claims that only tokens of OAuth clients have. Presets define their own.'),
    role: roleSource.optional().describe('The role of these clients. Default: none.'),
    tenantId: tenantSource.optional().describe('The tenant of these clients. Default: none.'),
  }),
]);

export const issuer = z.strictObject({
  name: name.optional().meta(operations('A name for the console, `countersign explain` and `countersign token`.')),
  provider: z
    .enum(providers)
    .optional()
    .meta(trust("Applies the provider's token types, keys and usual claims. The other keys override them.")),
  issuer: issuerIdentifier.meta(
    policy("The exact `iss` in the issuer's tokens. May contain a variable, such as `{tid}`."),
  ),
  template: template
    .optional()
    .meta(policy('The values of the variable (at most 100), or `any`, which requires `jwks`.')),
  audience: audience
    .optional()
    .meta(trust("`aud` must contain one of these. Required, unless the provider's tokens have no `aud`.", 'more')),
  clients: unique(text)
    .min(1)
    .max(100)
    .optional()
    .meta(policy('The OAuth clients whose tokens are accepted. Default: any.')),
  jwks: keySource.optional().meta(trust("Where to find the issuer's keys: a URL, or the path of a JWK set.")),
  discovery: z
    .boolean()
    .optional()
    .meta(trust("Whether to read the key URL from the issuer's metadata. Default with `provider`: true.")),
  algorithms: unique(z.enum(signingAlgorithms))
    .min(1)
    .optional()
    .meta(trust("The accepted signing algorithms. Default: ES256, RS256 and EdDSA, or the provider's.", 'more')),
  types: unique(z.enum(tokenTypes))
    .min(1)
    .optional()
    .meta(
      trust(
        'The accepted `typ` headers; `none` means no `typ`. `id-token` must stand alone. Default: `at+jwt`.',
        'more',
      ),
    ),
  require: conditions
    .optional()
    .meta(
      trust('Claims that a token must have. Without `provider`, this is required for every type but `at+jwt`.', 'more'),
    ),
  claims: z
    .strictObject({
      userId: claimPath
        .optional()
        .meta(trust("The claim with the user id. Default: `user_id`, or the provider's claim.")),
      role: roleSource
        .optional()
        .meta(policy('Where to find the role. Default: `role`; with `provider`, always `user`.')),
      tenantId: tenantSource
        .optional()
        .meta(policy('Where to find the tenant. Default: `tenant_id`; with `provider`, always `default`.')),
      sessionId: claimPath
        .optional()
        .meta(trust("The claim with the session id. Default: `sid`, or the provider's claim.")),
      scope: claimPath
        .optional()
        .meta(policy("The claim with the scopes, as a list or a text. Default: `scope`, or the provider's claim.")),
      client: claimName
        .optional()
        .meta(policy("The claim with the OAuth client. Default: `client_id` and `azp`, or the provider's claims.")),
    })
    .prefault({})
    .describe('Which claims identify the caller: names, paths, or maps of values.'),
  subjectEncoding: z
    .enum(['none', 'base64url'])
    .prefault('none')
    .meta(trust('`base64url` encodes user ids, for issuers whose ids contain other characters than an id may.')),
  userPrefix: prefix.optional().meta(trust('A prefix for each user id, so that two issuers can share a tenant.')),
  tenantPrefix: prefix
    .optional()
    .meta(policy('A prefix for each tenant id, so that two issuers cannot name the same tenant.')),
  sameSubjects: z
    .boolean()
    .default(false)
    .meta(trust('Whether a user id means one person at all issuers with this key. They may share tenants.', 'more')),
  machines: machines
    .optional()
    .meta(policy('Accepts tokens of OAuth clients without a user. Default: refused. Required for types but `at+jwt`.')),
  maxTokenLifetime: seconds({ min: '1m', max: '30d' })
    .prefault('24h')
    .meta(trust('The longest accepted token lifetime, from `iat` to `exp`.', 'more')),
  tenants: unique(id)
    .min(1)
    .optional()
    .meta(policy('The tenants that its tokens may name. With two or more issuers, each needs a limited set.')),
  roles: unique(role)
    .min(1)
    .optional()
    .meta(policy('The roles that its tokens may name. With two or more issuers, each needs a limited set.')),
  revocations: z
    .strictObject({
      url: calledUrl.meta(trust('The feed URL. The gateway signs its requests with `x-identity: gateway`.')),
      maxStaleness: duration({ min: '1s', max: '1h' })
        .prefault('30s')
        .meta(trust('How old the last successful read may be.', 'more')),
      onStale: z
        .enum(['allow', 'deny'])
        .prefault('allow')
        .meta(trust('Whether the gateway still accepts tokens after `maxStaleness`.')),
    })
    .transform(({ maxStaleness, ...feed }) => ({ ...feed, maxStalenessMs: maxStaleness }))
    .optional()
    .describe('The feed of revoked sessions, users, tenants and keys. With a feed, tokens must have a session id.'),
  events: events.optional(),
  introspection: introspection.optional(),
});

type IssuerPart = z.output<typeof issuer>;
export type IssuerPieces = Pieces<IssuerPart>;

export const algorithmsOf = ({ algorithms, provider }: IssuerPieces): readonly SigningAlgorithm[] =>
  algorithms ?? presetOf(provider).algorithms;

export const typesOf = ({ types, provider }: IssuerPieces): readonly TokenType[] => types ?? presetOf(provider).types;

/**
 * Whether the strict rules of RFC 9068 apply: a required `jti` and a well-formed `amr`. They apply if the issuer has
 * neither a preset nor an additional test.
 */
export const isStrict = (part: IssuerPieces): boolean =>
  part.provider === undefined && typesOf(part).every((type) => type === 'at+jwt');

export const isDiscovered = ({ discovery, jwks, provider }: IssuerPieces): boolean =>
  jwks === undefined && (discovery ?? provider !== undefined);

/** Whether its JWTs can be verified. An issuer with `introspection` may be without, and then has opaque tokens only. */
export const hasKeys = (part: IssuerPieces): boolean => part.jwks !== undefined || isDiscovered(part);

/** Whether a token may lack `aud`, because this provider's tokens have none. If so, `clients` is required. */
export const mayLackAudience = (part: IssuerPieces): boolean =>
  presetOf(part.provider).mayLackAudience && !typesOf(part).includes('id-token');

/** The scopes and claims that a route or a service uses. The gateway drops the others from a token. */
export type KeptClaims = Readonly<{
  scopes: ReadonlySet<string>;
  /** For routes' rules. */
  claims: readonly string[];
  /** For identity tokens. */
  copied: readonly string[];
}>;

/** If `value` is undefined, the issuer may have any value, which is read from `iss`. */
export type Template = Readonly<{ variable: string; value: string | undefined }> | undefined;

type ResolveOptions = Readonly<{
  directory: string;
  kept: KeptClaims;
  /** Returns a string with variable names in place of their values. Empty if it has no variables. */
  redactedAt(...keys: readonly string[]): string;
  clientSecret?: Uint8Array | undefined;
}>;

/** A token issuer, and the claims that its tokens may have. Plain data, because threads send it to each other. */
export type Issuer = Immutable<ReturnType<typeof resolveOne>>;

/** Returns the issuers of one entry in the file: one, or one for each template value. */
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
  { directory, kept, redactedAt, clientSecret }: ResolveOptions,
) {
  const { revocations, jwks = '' } = part;
  const preset = presetOf(part.provider);
  const types = typesOf(part);
  const discovery = isDiscovered(part);
  const sourceOf = (keySource: string) => (isFetched(keySource) ? keySource : resolve(directory, keySource));
  const keys = discovery ? iss : jwks && sourceOf(jwks);
  return {
    ...part,
    issuer: iss,
    template,
    audience: part.audience ?? [],
    mayLackAudience: mayLackAudience(part),
    /** Empty if it has opaque tokens only. */
    jwks: keys,
    shownJwks: redactedAt('jwks') || keys || 'no keys: opaque tokens only',
    discovery,
    algorithms: algorithmsOf(part),
    types,
    /** Conditions on a token whose header does not show its kind. */
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
    introspection: resolveIntrospection(part.introspection, clientSecret, redactedAt('introspection', 'url')),
  };
}

/** How to recognize an OAuth client's token. A token whose subject equals its client is always one. */
function machinesOf(machines: IssuerPart['machines'], { machines: known = [] }: Preset) {
  // Machines must still be recognized, so that none passes for a user.
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
  // Only Entra's preset reads the issuer, and Entra's tokens repeat that value in a claim.
  const isInClaim = all.tenantId.kind === 'fromIssuer' && template === undefined;
  const tenantId: ValueSource = isInClaim ? { kind: 'claim', path: ['tid'] } : all.tenantId;
  /** `client` lists the claims that name the OAuth client. All that are present must be equal. */
  return { ...all, tenantId, client: client === undefined ? preset.client : [client] };
}
