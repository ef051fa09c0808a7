import { resolve } from 'node:path';
import { z } from 'zod';
import { signingAlgorithms } from '../config.ts';
import { whyNoIssuerKeys } from '../issuer-key-file.ts';
import type { IsMalformed, Pieces, Refuse } from './rules.ts';
import { claimName, duration, id, role, text, unique } from './scalars.ts';
import type { UpstreamPart } from './upstreams.ts';
import { calledUrl, isFetched, isPlainHttp, issuerIdentifier, keySource, plainHttp } from './urls.ts';

export const issuer = z.strictObject({
  issuer: issuerIdentifier.describe('The `iss` of its tokens, compared byte by byte.'),
  audience: text.describe('A value that `aud` must contain.'),
  jwks: keySource.describe(
    'Where the issuer publishes its keys: a URL, or the path of a JWK set, read again every 5 s.',
  ),
  algorithms: unique(z.enum(signingAlgorithms))
    .min(1)
    .describe('The signing algorithms accepted from this issuer. `EdDSA` also accepts the name `Ed25519`.'),
  claims: z
    .strictObject({
      userId: claimName.prefault('user_id').describe('The claim with the user id.'),
      role: claimName.prefault('role').describe('The claim with the role.'),
      tenantId: claimName.prefault('tenant_id').describe('The claim with the tenant id.'),
    })
    .prefault({})
    .describe('The claims that identify the caller.'),
  tenants: unique(id)
    .min(1)
    .optional()
    .describe('The tenants that its tokens may name. Required with two or more issuers.'),
  roles: unique(role)
    .min(1)
    .optional()
    .describe('The roles that its tokens may name. Required with two or more issuers.'),
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
    .describe('The feed of revoked sessions, users, tenants and keys. Makes the claim `sid` required.'),
});

export type IssuerPart = z.output<typeof issuer>;

type IssuerPieces = Pieces<IssuerPart>;

/** Refuses an issuer that is listed twice. Requires `tenants` and `roles` with two or more issuers. */
export function checkIssuers(issuers: readonly IssuerPieces[], isMalformed: IsMalformed, refuse: Refuse): void {
  const seen = new Map<string, number>();
  for (const [index, { issuer, tenants, roles }] of issuers.entries()) {
    const other = issuer === undefined ? undefined : seen.get(issuer);
    if (other !== undefined) {
      refuse(['issuers', index, 'issuer'], 'is written twice', { other: ['issuers', other, 'issuer'] });
    } else if (issuer !== undefined) seen.set(issuer, index);
    if (issuers.length === 1) continue;
    // Otherwise a hostile issuer could impersonate the users of another (docs/threat-model.md).
    for (const [key, value] of Object.entries({ tenants, roles })) {
      if (value !== undefined || isMalformed('issuers', index, key)) continue;
      refuse(['issuers', index], `"${key}" is required with two or more issuers: the ${key} this one may name`);
    }
  }
}

/** Refuses a feed outside of every upstream: the gateway signs its requests to the feed for that upstream. */
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
    const message = 'is at no target of any upstream, so requests for it could not be signed';
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

/** Checks that the key files of issuers are usable. A URL without its scheme counts as a missing file. */
export function checkIssuerKeyFiles(issuers: readonly IssuerPieces[], directory: string, refuse: Refuse): void {
  for (const [index, { jwks, algorithms }] of issuers.entries()) {
    if (jwks === undefined || algorithms === undefined || isFetched(jwks)) continue;
    const why = whyNoIssuerKeys(resolve(directory, jwks), algorithms);
    if (why !== undefined) {
      refuse(['issuers', index, 'jwks'], `is a file that ${why}; a URL begins with http:// or https://`);
    }
  }
}
