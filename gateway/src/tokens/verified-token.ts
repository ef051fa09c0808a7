import type { PreparedIdentity } from '@countersign/identity';
import type { KeySet } from '@countersign/jwks';
import { type Issuer, toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Revocations } from '../revocations/revocations.ts';

/** The claims of a verified access token. Each value matches the grammar of the identity contract. */
export type Claims = Readonly<{
  issuer: string;
  /** `sub` as the issuer wrote it. Revocations of the issuer name it. */
  subject: string;
  /** Undefined: the token has no `jti`, which only RFC 9068 requires. */
  tokenId: string | undefined;
  userId: string;
  role: string;
  tenantId: string;
  sessionId: string | undefined;
  issuedAtSec: number;
  expiresAtSec: number;
  authTimeSec: number | undefined;
  authMethods: readonly string[] | undefined;
  /** Thumbprint of the key that the token is bound to (RFC 9449 section 6.1). Undefined: no such binding. */
  jkt: string | undefined;
  /** SHA-256 of the client certificate that the token is bound to (RFC 8705 section 3.1). */
  certificate: string | undefined;
}>;

/** A subject or token id: visible ASCII characters. */
export const visibleText = /^[\x21-\x7e]{1,256}$/;

/**
 * Checks the expiry, with tolerance. Call it on every use of a token, cached ones too.
 *
 * @throws AppError `token_expired`.
 */
export function assertUnexpired(claims: Pick<Claims, 'expiresAtSec'>, nowMs: number): void {
  if (nowMs >= claims.expiresAtSec * 1000 + toleranceMs) throw new AppError('token_expired');
}

/** A trusted issuer with its current keys and revocations. */
export type TrustedIssuer = Readonly<{
  config: Issuer;
  keys: KeySet;
  /** Undefined: this issuer has no revocation feed, and its tokens end at `exp`. */
  revocations: Revocations | undefined;
}>;

/** The parts of a user's token that {@link assertStillValid} needs. A txn-token carries them without the token itself. */
export type TokenStatus = Readonly<{
  claims: Pick<Claims, 'issuer' | 'subject' | 'userId' | 'tenantId' | 'sessionId' | 'issuedAtSec' | 'expiresAtSec'>;
  kid: string;
  issuer: TrustedIssuer;
}>;

/** A token whose signature and claims were valid when it was verified. {@link assertStillValid} checks it again. */
export type VerifiedToken = Readonly<{
  claims: Claims;
  kid: string;
  issuer: TrustedIssuer;
  /** The generation of the issuer's key set that verified it. */
  generation: number;
  /** The signed identity for each audience, prepared once per token. */
  prepared: Map<string, PreparedIdentity>;
}> & {
  /** The keys of its buckets of rate limits, set at its first use. */
  bucketKeys?: Readonly<{ user: string; tenant: string }> | undefined;
};

/**
 * Checks expiry and revocation. Call it on every use of a token: from the cache, before signing (the user may log out
 * while a slow body arrives), and while a connection stays open.
 *
 * @throws AppError `token_expired`, `token_revoked`, `revocations_unavailable`.
 */
export function assertStillValid(token: TokenStatus, nowMs: number): void {
  assertUnexpired(token.claims, nowMs);
  assertUnrevoked(token, nowMs);
}

/**
 * Checks revocation alone, for a response that started before the token expired and ends by itself.
 *
 * @throws AppError `token_revoked`, `revocations_unavailable`.
 */
export function assertUnrevoked({ issuer, claims, kid }: TokenStatus, nowMs: number): void {
  issuer.revocations?.assertNotRevoked(claims, kid, nowMs);
}
