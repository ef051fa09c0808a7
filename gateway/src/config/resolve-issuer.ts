import { resolve } from 'node:path';
import type { ClaimPath, Conditions, Issuer, KeptClaims, ValueSource } from './issuer.ts';
import { presets } from './presets/index.ts';
import { standardClient } from './presets/preset.ts';
import type { IssuerPart, IssuerPieces } from './schema/issuers/issuers.ts';
import { isFetched } from './schema/values/urls.ts';

const defaultAlgorithms: Issuer['algorithms'] = ['ES256', 'RS256', 'EdDSA'];

export const algorithmsOf = ({ algorithms, provider }: IssuerPieces): Issuer['algorithms'] =>
  algorithms ?? (provider === undefined ? defaultAlgorithms : presets[provider].algorithms);

export const typesOf = ({ types, provider }: IssuerPieces): Issuer['types'] =>
  types ?? (provider === undefined ? ['at+jwt'] : presets[provider].types);

/** Whether the strict rules of RFC 9068 apply: the tokens need no preset and no further test. */
export const isStrict = (part: IssuerPieces): boolean =>
  part.provider === undefined && typesOf(part).every((type) => type === 'at+jwt');

/** Whether the keys are found through the metadata of the issuer. */
export const isDiscovered = ({ discovery, jwks, provider }: IssuerPieces): boolean =>
  jwks === undefined && (discovery ?? provider !== undefined);

export const mayLackAudience = (part: IssuerPieces): boolean =>
  part.provider !== undefined && presets[part.provider].mayLackAudience && !typesOf(part).includes('id-token');

/** A string of the issuer's entry with the names of its variables. Empty: it has none. */
type RedactedAt = (...keys: readonly string[]) => string;

/** The issuers of one entry of the file: one, or one for each value of its template. */
export function resolveIssuers(
  part: IssuerPart,
  directory: string,
  kept: KeptClaims,
  redactedAt: RedactedAt,
): readonly Issuer[] {
  const one = (issuer: string, template: Issuer['template']) => ({
    ...resolveOne(part, directory, issuer, template, redactedAt),
    kept,
  });
  const [variable, values] = Object.entries(part.template ?? {})[0] ?? [];
  if (variable === undefined || values === undefined) {
    const template = part.provider === 'entra' ? entraTenantIn(part.issuer) : undefined;
    return [one(part.issuer, template)];
  }
  if (values === 'any') return [one(part.issuer, { variable, value: undefined })];
  return values.map((value) => one(part.issuer.replace(`{${variable}}`, value), { variable, value }));
}

const entraIssuer = /^https:\/\/[^/]+\/([A-Za-z0-9-]{1,64})\/(?:v2\.0\/?)?$/;

/** An Entra issuer always names its tenant, also where the file has no template. */
function entraTenantIn(issuer: string): Issuer['template'] {
  const value = entraIssuer.exec(issuer)?.[1];
  return value === undefined ? undefined : { variable: 'tid', value };
}

function resolveOne(
  part: IssuerPart,
  directory: string,
  issuer: string,
  template: Issuer['template'],
  redactedAt: RedactedAt,
): Omit<Issuer, 'kept'> {
  const types = typesOf(part);
  const { revocations } = part;
  const discovery = isDiscovered(part);
  const jwks = discovery ? issuer : keysOf(part.jwks ?? '', directory);
  return {
    issuer,
    name: part.name,
    provider: part.provider,
    template,
    audience: part.audience ?? [],
    mayLackAudience: mayLackAudience(part),
    clients: part.clients,
    jwks,
    shownJwks: redactedAt('jwks') || jwks,
    discovery,
    algorithms: algorithmsOf(part),
    types,
    typeTest: typeTestOf(part),
    require: part.require ?? [],
    claims: claimsOf(part, template),
    subjectEncoding: part.subjectEncoding,
    userPrefix: part.userPrefix ?? '',
    tenantPrefix: part.tenantPrefix ?? '',
    machines: machinesOf(part),
    isStrict: isStrict(part),
    maxTokenLifetimeSec: part.maxTokenLifetime,
    tenants: part.tenants && new Set(part.tenants),
    roles: part.roles && new Set(part.roles),
    revocations: revocations && {
      url: revocations.url,
      shownUrl: redactedAt('revocations', 'url') || revocations.url,
      maxStalenessMs: revocations.maxStaleness,
      onStale: revocations.onStale,
    },
  };
}

const keysOf = (jwks: string, directory: string): string => (isFetched(jwks) ? jwks : resolve(directory, jwks));

function typeTestOf(part: IssuerPart): Conditions {
  const preset = part.provider && presets[part.provider];
  if (preset === undefined) return [];
  return typesOf(part).includes('id-token') ? preset.idToken : (preset.accessToken ?? []);
}

function machinesOf({ machines, provider }: IssuerPart): Issuer['machines'] {
  const known = provider === undefined ? [] : presets[provider].machines;
  // They are still recognized, since they must not pass for users.
  if (machines === 'none' || machines === undefined) {
    return { isAccepted: false, when: known, role: undefined, tenantId: undefined };
  }
  const { when = [], role, tenantId } = machines;
  return { isAccepted: true, when: [...known, ...when], role, tenantId };
}

/** The names of the auth-service's claims. */
const ownClaims = {
  userId: ['user_id'] as ClaimPath,
  role: { kind: 'claim', path: ['role'] } as ValueSource,
  tenantId: { kind: 'claim', path: ['tenant_id'] } as ValueSource,
  sessionId: ['sid'] as ClaimPath,
  scope: ['scope'] as ClaimPath,
};

/** @param template Undefined: the issuer has no variable that could name the tenant. */
export function claimsOf({ claims, provider }: IssuerPieces, template: Issuer['template']): Issuer['claims'] {
  const preset = provider && presets[provider];
  const usual = preset?.claims ?? ownClaims;
  const tenantId = claims?.tenantId ?? usual.tenantId;
  return {
    userId: claims?.userId ?? usual.userId,
    role: claims?.role ?? usual.role,
    // Only Entra's preset reads the issuer, and its tokens have the same value in a claim.
    tenantId: tenantId.kind === 'fromIssuer' && template === undefined ? { kind: 'claim', path: ['tid'] } : tenantId,
    sessionId: claims?.sessionId ?? usual.sessionId,
    scope: claims?.scope ?? usual.scope,
    client: claims?.client === undefined ? (preset?.client ?? standardClient) : [claims.client],
  };
}
