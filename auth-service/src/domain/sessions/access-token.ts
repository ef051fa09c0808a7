import type { KeyObject } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';
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

/** Signs an RFC 9068 access token for a person: `typ: at+jwt`, valid for 900 s. */
export function signAccessToken(input: AccessTokenInput, issuer: TokenIssuer, key: Key): Promise<string> {
  const claims = personClaims(input);
  return sign(input, { subject: input.userId, claims, lifetimeSec: accessTokenLifetimeSec }, issuer, key);
}

/** Signs a person's token with the OAuth client as actor (RFC 8693 section 4.1). */
export function signDelegatedToken(input: DelegatedTokenInput, issuer: TokenIssuer, key: Key): Promise<string> {
  const act = { sub: input.clientId, iss: issuer.issuer };
  const claims = { ...personClaims(input), ...scopeClaim(input.scopes), act };
  return sign(input, { subject: input.userId, claims, lifetimeSec: input.lifetimeSec }, issuer, key);
}

const personClaims = (input: AccessTokenInput) => ({
  user_id: input.userId,
  role: input.role,
  sid: input.sessionId,
  auth_time: input.authTimeSec,
  amr: input.amr,
});

/** Signs an RFC 9068 access token for an OAuth client, which is its own subject (section 5). */
export function signClientToken(input: ClientTokenInput, issuer: TokenIssuer, key: Key): Promise<string> {
  const claims = scopeClaim(input.scopes);
  return sign(input, { subject: input.clientId, claims, lifetimeSec: accessTokenLifetimeSec }, issuer, key);
}

const scopeClaim = (scopes: readonly string[]) => (scopes.length === 0 ? {} : { scope: scopes.join(' ') });

type Content = Readonly<{ subject: string; claims: JWTPayload; lifetimeSec: number }>;

function sign(
  input: CommonInput,
  { subject, claims, lifetimeSec }: Content,
  { issuer, audience }: TokenIssuer,
  key: Key,
): Promise<string> {
  return new SignJWT({
    tenant_id: input.tenantId,
    client_id: input.clientId,
    ...claims,
    ...(input.jkt !== null && { cnf: { jkt: input.jkt } }),
  })
    .setProtectedHeader({ alg: key.alg, typ: 'at+jwt', kid: key.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setJti(uuidv7())
    .setIssuedAt(input.issuedAtSec)
    .setExpirationTime(input.issuedAtSec + lifetimeSec)
    .sign(key.privateKey);
}
