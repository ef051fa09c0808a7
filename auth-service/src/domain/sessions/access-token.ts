import type { KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { accessTokenLifetimeSec } from './session-rules.ts';

/** Signature algorithms of access tokens (RFC 7518 section 3.1, RFC 8037 section 3.1). */
export const signingAlgorithms = ['ES256', 'EdDSA', 'RS256'] as const;

export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** The facts about its session that a token carries. Seconds are Unix seconds, by the database's clock. */
export type AccessFacts = Readonly<{
  userId: string;
  tenantId: string;
  role: string;
  sessionId: string;
  clientId: string;
  issuedAtSec: number;
  authTimeSec: number;
  amr: readonly string[];
  /** Thumbprint of the client's key, when the session is bound to one. */
  jkt: string | null;
}>;

export type TokenIssuer = Readonly<{ issuer: string; audience: string }>;

/** An RFC 9068 access token: `typ: at+jwt`, 900 s, by the algorithm of the key. */
export function signAccessToken(
  facts: AccessFacts,
  { issuer, audience }: TokenIssuer,
  key: Readonly<{ kid: string; alg: string; privateKey: KeyObject }>,
): Promise<string> {
  return new SignJWT({
    user_id: facts.userId,
    tenant_id: facts.tenantId,
    role: facts.role,
    sid: facts.sessionId,
    client_id: facts.clientId,
    auth_time: facts.authTimeSec,
    amr: facts.amr,
    ...(facts.jkt !== null && { cnf: { jkt: facts.jkt } }),
  })
    .setProtectedHeader({ alg: key.alg, typ: 'at+jwt', kid: key.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(facts.userId)
    .setJti(uuidv7())
    .setIssuedAt(facts.issuedAtSec)
    .setExpirationTime(facts.issuedAtSec + accessTokenLifetimeSec)
    .sign(key.privateKey);
}
