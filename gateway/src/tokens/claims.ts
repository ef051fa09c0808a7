import { toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';

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
