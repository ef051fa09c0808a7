import type { KeyObject } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { accessTokenLifetimeSec } from './session-rules.ts';

/** Signature algorithms of access tokens (RFC 7518 section 3.1, RFC 8037 section 3.1). */
export const signingAlgorithms = ['ES256', 'EdDSA', 'RS256'] as const;

export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** What every access token says. Seconds are Unix seconds, by the database's clock. */
type CommonFacts = Readonly<{
  tenantId: string;
  /** The OAuth client that the token was issued to. */
  clientId: string;
  issuedAtSec: number;
  /** Thumbprint of the client's key, when the token is bound to one. */
  jkt: string | null;
}>;

/** The facts about its session that a person's token carries. */
export type AccessFacts = CommonFacts &
  Readonly<{
    userId: string;
    role: string;
    sessionId: string;
    authTimeSec: number;
    amr: readonly string[];
  }>;

/** The token of a client that acts for itself. It has no user, role or session. */
export type ClientFacts = CommonFacts & Readonly<{ scopes: readonly string[] }>;

/** The token of a client that acts for a person. `sessionId` is that of the delegation. */
export type DelegatedFacts = AccessFacts & Readonly<{ scopes: readonly string[]; lifetimeSec: number }>;

export type TokenIssuer = Readonly<{ issuer: string; audience: string }>;

type Key = Readonly<{ kid: string; alg: string; privateKey: KeyObject }>;

/** An RFC 9068 access token of a person: `typ: at+jwt`, 900 s, by the algorithm of the key. */
export function signAccessToken(facts: AccessFacts, issuer: TokenIssuer, key: Key): Promise<string> {
  const claims = personClaims(facts);
  return sign(facts, { subject: facts.userId, claims, lifetimeSec: accessTokenLifetimeSec }, issuer, key);
}

/** A person's token with the client as actor (RFC 8693 section 4.1). */
export function signDelegatedToken(facts: DelegatedFacts, issuer: TokenIssuer, key: Key): Promise<string> {
  const act = { sub: facts.clientId, iss: issuer.issuer };
  const claims = { ...personClaims(facts), ...scopeClaim(facts.scopes), act };
  return sign(facts, { subject: facts.userId, claims, lifetimeSec: facts.lifetimeSec }, issuer, key);
}

const personClaims = (facts: AccessFacts) => ({
  user_id: facts.userId,
  role: facts.role,
  sid: facts.sessionId,
  auth_time: facts.authTimeSec,
  amr: facts.amr,
});

/** An RFC 9068 access token of a client, whose `sub` is the client (section 5). */
export function signClientToken(facts: ClientFacts, issuer: TokenIssuer, key: Key): Promise<string> {
  const claims = scopeClaim(facts.scopes);
  return sign(facts, { subject: facts.clientId, claims, lifetimeSec: accessTokenLifetimeSec }, issuer, key);
}

const scopeClaim = (scopes: readonly string[]) => (scopes.length === 0 ? {} : { scope: scopes.join(' ') });

type Content = Readonly<{ subject: string; claims: JWTPayload; lifetimeSec: number }>;

function sign(
  facts: CommonFacts,
  { subject, claims, lifetimeSec }: Content,
  { issuer, audience }: TokenIssuer,
  key: Key,
): Promise<string> {
  return new SignJWT({
    tenant_id: facts.tenantId,
    client_id: facts.clientId,
    ...claims,
    ...(facts.jkt !== null && { cnf: { jkt: facts.jkt } }),
  })
    .setProtectedHeader({ alg: key.alg, typ: 'at+jwt', kid: key.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setJti(uuidv7())
    .setIssuedAt(facts.issuedAtSec)
    .setExpirationTime(facts.issuedAtSec + lifetimeSec)
    .sign(key.privateKey);
}
