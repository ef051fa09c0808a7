import type { PreparedIdentity } from '@countersign/identity';
import type { KeySet } from '@countersign/jwks';
import type { Issuer } from '../config/config.ts';
import type { Revocations } from '../revocations/revocations.ts';
import { assertUnexpired, type Claims } from './claims.ts';

/** A trusted issuer with its current keys and revocations. */
export type TrustedIssuer = Readonly<{
  config: Issuer;
  keys: KeySet;
  /** Undefined: this issuer has no revocation feed, and its tokens end at `exp`. */
  revocations: Revocations | undefined;
}>;

/** The parts of a caller's token that {@link assertStillValid} needs. A txn-token carries them without the token itself. */
export type TokenStatus = Readonly<{
  claims: Pick<
    Claims,
    | 'kind'
    | 'issuer'
    | 'subject'
    | 'userId'
    | 'clientId'
    | 'tenantId'
    | 'sessionId'
    | 'issuedAtSec'
    | 'expiresAtSec'
    | 'scope'
    | 'act'
    | 'kept'
  >;
  kid: string;
  issuer: TrustedIssuer;
}>;

/** The keys of the buckets that requests with one token count in. */
export type BucketKeys = Readonly<{ user: string; client: string; tenant: string }>;

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
  bucketKeys?: BucketKeys | undefined;
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
