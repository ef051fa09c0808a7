import { presetOf } from '../../presets.ts';
import type { Refuse } from '../cross-checks.ts';
import type { ClaimPath, Conditions, ValueSource } from './issuer-values.ts';
import type { IssuerPieces } from './issuers.ts';

/** A person can get another's old address or name, and some providers let people choose them. */
const reassignable = new Set(['email', 'upn', 'preferred_username', 'unique_name', 'username', 'nickname']);
/** What people can write themselves at Auth0, Supabase and Clerk. */
const selfWritten = new Set(['user_metadata', 'unsafe_metadata']);

/** Refuses claims that do not identify anyone for good, or that people can set themselves. */
export function checkIssuerClaims(
  { claims, provider, machines, require: required }: IssuerPieces,
  refuse: Refuse,
): void {
  if (claims === undefined) return;
  // Auth0 names custom claims by URLs, such as https://example.com/email.
  const nameOf = (step: string) => step.slice(step.lastIndexOf('/') + 1);
  const name = claims.userId?.map(nameOf).find((step) => reassignable.has(step.toLowerCase()));
  if (name !== undefined) {
    refuse(['claims', 'userId'], `"${name}" can pass from one person to another: use the subject, such as sub`);
  }
  const ofMachines = machines === 'none' ? undefined : machines;
  const paths: readonly (readonly [part: string, key: string, path: ClaimPath | undefined])[] = [
    ['claims', 'userId', claims.userId],
    ['claims', 'role', pathIn(claims.role)],
    ['claims', 'tenantId', pathIn(claims.tenantId)],
    ['claims', 'scope', claims.scope],
    ['machines', 'role', pathIn(ofMachines?.role)],
    ['machines', 'tenantId', pathIn(ofMachines?.tenantId)],
  ];
  for (const [part, key, path] of paths) {
    const own = path?.map(nameOf).find((step) => selfWritten.has(step));
    if (own !== undefined) refuse([part, key], `people can write "${own}" themselves, so it proves nothing`);
  }
  const tenants = [claims.tenantId ?? presetOf(provider).claims.tenantId, ofMachines?.tenantId];
  const isForAll = tenants.some(
    (tenant) => tenant?.kind === 'constant' || (tenant?.kind === 'mapped' && tenant.otherwise !== undefined),
  );
  if (presetOf(provider).isOpen && isForAll) {
    const message = `"require" is required: anyone can have an account of ${provider}; such as { hd: [example.com] }`;
    requireProof(required, message, refuse);
  }
}

/** Refuses an issuer whose `require` does not prove that a token has some claim: a claim that is absent proves nothing. */
export function requireProof(required: Conditions | undefined, message: string, refuse: Refuse): void {
  if (required === undefined) refuse([], message, { absent: 'require' });
  else if (!proves(required)) {
    refuse(['require'], 'proves nothing: each map must have a condition on a claim that is there, not only absent');
  }
}

export const proves = (required: Conditions | undefined): boolean =>
  required?.every((all) => all.some(({ expected }) => expected.is !== 'absent')) === true;

function pathIn(source: ValueSource | undefined): ClaimPath | undefined {
  return source?.kind === 'claim' || source?.kind === 'mapped' ? source.path : undefined;
}
