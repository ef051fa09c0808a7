import { resolve } from 'node:path';
import { z } from 'zod';
import { whyNoIssuerKeys } from '../issuer-key-file.ts';
import type { IsMalformed, Pieces, Refuse } from './rules.ts';
import { claimName, duration, id, role, text, unique } from './scalars.ts';
import type { UpstreamPart } from './upstreams.ts';
import { calledUrl, isFetched, isPlainHttp, issuerIdentifier, keySource, plainHttp } from './urls.ts';

const signingAlgorithm = z.enum([
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
]);

export const issuer = z.strictObject({
  issuer: issuerIdentifier.describe('Compared with `iss`, byte by byte.'),
  audience: text.describe('What `aud` must contain.'),
  jwks: keySource.describe(
    'Where the issuer publishes its keys: a URL, or the path of a JWK set, read again every 5 s.',
  ),
  algorithms: unique(signingAlgorithm)
    .min(1)
    .describe(
      'What this issuer signs with. Nothing else is accepted from it. `EdDSA` is Ed25519, under either name of it.',
    ),
  claims: z
    .strictObject({
      userId: claimName.prefault('user_id').describe('The claim with the user.'),
      role: claimName.prefault('role').describe('The claim with the role.'),
      tenantId: claimName.prefault('tenant_id').describe('The claim with the tenant.'),
    })
    .prefault({})
    .describe('Where its tokens say who the caller is.'),
  tenants: unique(id).min(1).optional().describe('The tenants it may speak for. Required with two or more issuers.'),
  roles: unique(role).min(1).optional().describe('The roles it may give. Required with two or more issuers.'),
  revocations: z
    .strictObject({
      url: calledUrl.describe('The feed. Called with a signed `x-identity: gateway`.'),
      maxStaleness: duration({ min: '1s', max: '1h' }).prefault('30s').describe('How old the last news may be.'),
      onStale: z.enum(['allow', 'deny']).prefault('allow').describe('What happens to tokens when it is older.'),
    })
    .optional()
    .describe('Where revoked sessions, users, tenants and keys are announced. Makes `sid` required.'),
});

export type IssuerPart = z.output<typeof issuer>;

type IssuerPieces = Pieces<IssuerPart>;

/** Issuers are different, and with two or more each names the tenants and roles that it may assign. */
export function checkIssuers(issuers: readonly IssuerPieces[], isMalformed: IsMalformed, refuse: Refuse): void {
  const seen = new Map<string, number>();
  for (const [index, { issuer, tenants, roles }] of issuers.entries()) {
    const other = issuer === undefined ? undefined : seen.get(issuer);
    if (other !== undefined) {
      refuse(['issuers', index, 'issuer'], 'stands here twice', { other: ['issuers', other, 'issuer'] });
    } else if (issuer !== undefined) seen.set(issuer, index);
    if (issuers.length === 1) continue;
    // Otherwise each could name the other's users (a hostile issuer is a case of docs/threat-model.md).
    for (const [key, value] of Object.entries({ tenants, roles })) {
      if (value !== undefined || isMalformed('issuers', index, key)) continue;
      refuse(['issuers', index], `"${key}" is required with two or more issuers: the ${key} this one may name`);
    }
  }
}

/** The gateway signs its requests for revocations, so each feed belongs to an upstream. */
export function checkRevocationFeeds(
  issuers: readonly IssuerPieces[],
  upstreams: ReadonlyMap<string, Pieces<UpstreamPart>>,
  refuse: Refuse,
): void {
  const all = [...upstreams.values()].map(({ targets }) => targets);
  // The feed may belong to a malformed target.
  if (all.includes(undefined)) return;
  const targets = new Set(all.flat());
  for (const [index, { revocations }] of issuers.entries()) {
    if (revocations === undefined || targets.has(new URL(revocations.url).origin)) continue;
    const message = 'is at no target of any upstream, so what is asked of it could not be signed';
    refuse(['issuers', index, 'revocations', 'url'], message);
  }
}

/** Refuses URLs over plain http that leave this machine. */
export function checkIssuerUrls(issuers: readonly IssuerPieces[], refuse: Refuse): void {
  for (const [index, { jwks, revocations }] of issuers.entries()) {
    if (jwks !== undefined && isPlainHttp(jwks)) refuse(['issuers', index, 'jwks'], plainHttp);
    if (revocations !== undefined && isPlainHttp(revocations.url)) {
      refuse(['issuers', index, 'revocations', 'url'], plainHttp);
    }
  }
}

/** Reads key files of issuers. A URL without its scheme counts as a file that does not exist. */
export function checkIssuerKeyFiles(issuers: readonly IssuerPieces[], directory: string, refuse: Refuse): void {
  for (const [index, { jwks, algorithms }] of issuers.entries()) {
    if (jwks === undefined || algorithms === undefined || isFetched(jwks)) continue;
    const why = whyNoIssuerKeys(resolve(directory, jwks), algorithms);
    if (why !== undefined) {
      refuse(['issuers', index, 'jwks'], `is a file that ${why}; a URL begins with http:// or https://`);
    }
  }
}
