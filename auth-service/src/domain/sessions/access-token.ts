import type { KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { accessTokenLifetimeSec } from './session-rules.ts';

/** Signature algorithms for access tokens (RFC 7518 section 3.1, RFC 8037 section 3.1). */
export const signingAlgorithms = ['ES256', 'EdDSA', 'RS256'] as const;

export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** The claims of every access token. Times are Unix seconds on the database's clock. */
type CommonInput = Readonly<{
  tenantId: string;
  /** The OAuth client that the token was issued to. */
  clientId: string;
  issuedAtSec: number;
  /** Thumbprint of the key that the token is bound to, if any. */
  jkt: string | null;
}>;

export type AccessTokenInput = CommonInput &
  Readonly<{
    userId: string;
    role: string;
    sessionId: string;
    authTimeSec: number;
    amr: readonly string[];
  }>;

/** The token of an OAuth client that acts on its own behalf. It has no user, role or session. */
export type ClientTokenInput = CommonInput & Readonly<{ scopes: readonly string[] }>;

/** The token of an OAuth client that acts for a person. `sessionId` is the delegation's id. */
export type DelegatedTokenInput = AccessTokenInput & Readonly<{ scopes: readonly string[]; lifetimeSec: number }>;

export type TokenIssuer = Readonly<{ issuer: string; audience: string }>;

type Key = Readonly<{ kid: string; alg: string; privateKey: KeyObject }>;

/**
 * Signs an RFC 9068 access token: `typ: at+jwt`, valid for 900 s unless the delegation ends earlier. An OAuth client that
 * acts on its own behalf is its own subject (section 5). One that acts for a person is the actor (RFC 8693 section 4.1).
 */
export function signToken(
  input: AccessTokenInput | ClientTokenInput | DelegatedTokenInput,
  { issuer, audience }: TokenIssuer,
  key: Key,
): Promise<string> {
  const { tenantId, clientId, issuedAtSec, jkt } = input;
  const isForPerson = 'userId' in input;
  const scope = 'scopes' in input ? input.scopes.join(' ') : '';
  return new SignJWT({
    tenant_id: tenantId,
    client_id: clientId,
    ...(isForPerson && {
      user_id: input.userId,
      role: input.role,
      sid: input.sessionId,
      auth_time: input.authTimeSec,
      amr: input.amr,
    }),
    ...(scope !== '' && { scope }),
    ...(isForPerson && 'scopes' in input && { act: { sub: clientId, iss: issuer } }),
    ...(jkt !== null && { cnf: { jkt } }),
  })
    .setProtectedHeader({ alg: key.alg, typ: 'at+jwt', kid: key.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(isForPerson ? input.userId : clientId)
    .setJti(uuidv7())
    .setIssuedAt(issuedAtSec)
    .setExpirationTime(issuedAtSec + lifetimeSecOf(input))
    .sign(key.privateKey);
}

export const lifetimeSecOf = (input: object & Partial<DelegatedTokenInput>): number =>
  input.lifetimeSec ?? accessTokenLifetimeSec;
