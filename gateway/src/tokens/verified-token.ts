import type { PreparedIdentity } from '@countersign/identity';
import type { KeySet } from '@countersign/jwks';
import type { Issuer } from '../config/config.ts';
import type { Revocations } from '../revocations/revocations.ts';
import { assertUnexpired, type Claims } from './claims.ts';

/** An issuer that is trusted, and what is known of it now. */
export type TrustedIssuer = Readonly<{
  config: Issuer;
  keys: KeySet;
  /** Undefined: this issuer's tokens end at `exp` only. */
  revocations: Revocations | undefined;
}>;

/** What has to be known of a user's token to say whether it is good at this moment, after its signature is out of sight too. */
export type TokenStatus = Readonly<{
  claims: Pick<Claims, 'userId' | 'tenantId' | 'sessionId' | 'issuedAtSec' | 'expiresAtSec'>;
  kid: string;
  issuer: TrustedIssuer;
}>;

/** A token whose signature and claims held when it was verified. Whether it still does is {@link assertStillValid}. */
export type VerifiedToken = Readonly<{
  claims: Claims;
  kid: string;
  issuer: TrustedIssuer;
  /** The issuer's key set that verified it. */
  generation: number;
  /** What is signed for each audience, made once a token. */
  prepared: Map<string, PreparedIdentity>;
}>;

/**
 * Asked whenever a token is used: from the cache, again when signing (a slow body can outlive a logout), and while a
 * connection stays open.
 *
 * @throws AppError `token_expired`, `token_revoked`, `revocations_unavailable`.
 */
export function assertStillValid(token: TokenStatus, nowMs: number): void {
  assertUnexpired(token.claims, nowMs);
  assertUnrevoked(token, nowMs);
}

/** For what was begun in time and ends by itself. @throws AppError `token_revoked`, `revocations_unavailable`. */
export function assertUnrevoked({ issuer, claims, kid }: TokenStatus, nowMs: number): void {
  issuer.revocations?.assertNotRevoked(claims, kid, nowMs);
}
