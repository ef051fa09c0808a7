import type { ClaimPath } from '../../issuer.ts';
import { presets } from '../../presets/index.ts';
import type { Refuse } from '../rules.ts';
import type { IssuerPieces } from './issuers.ts';

/** A person can get another's old address or name, and some providers let people choose them. */
const reassignable = new Set(['email', 'upn', 'preferred_username', 'unique_name', 'username', 'nickname']);
/** What people can write themselves at Auth0, Supabase and Clerk. */
const selfWritten = new Set(['user_metadata', 'unsafe_metadata']);

/** Refuses claims that do not identify anyone for good, or that people can set themselves. */
export function checkIssuerClaims({ claims, provider, require: required }: IssuerPieces, refuse: Refuse): void {
  if (claims === undefined) return;
  // Auth0 names custom claims by URLs, such as https://example.com/email.
  const nameOf = (step: string) => step.slice(step.lastIndexOf('/') + 1);
  const name = claims.userId?.map(nameOf).find((step) => reassignable.has(step.toLowerCase()));
  if (name !== undefined) {
    refuse(['claims', 'userId'], `"${name}" can pass from one person to another: use the subject, such as sub`);
  }
  const paths: readonly (readonly [string, ClaimPath | undefined])[] = [
    ['userId', claims.userId],
    ['role', pathIn(claims.role)],
    ['tenantId', pathIn(claims.tenantId)],
  ];
  for (const [key, path] of paths) {
    const own = path?.map(nameOf).find((step) => selfWritten.has(step));
    if (own !== undefined) refuse(['claims', key], `people can write "${own}" themselves, so it proves nothing`);
  }
  const tenant = claims.tenantId ?? (provider && presets[provider].claims.tenantId);
  const isForAll = tenant?.kind === 'constant' || (tenant?.kind === 'mapped' && tenant.otherwise !== undefined);
  if (provider !== undefined && presets[provider].isOpen && isForAll && required === undefined) {
    refuse([], `"require" is required: anyone can have an account of ${provider}; such as { hd: [example.com] }`, {
      absent: 'require',
    });
  }
}

function pathIn(source: NonNullable<IssuerPieces['claims']>['role']): ClaimPath | undefined {
  return source?.kind === 'claim' || source?.kind === 'mapped' ? source.path : undefined;
}
