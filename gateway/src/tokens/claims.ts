import { idPattern, isAuthMethod, isUnixSeconds, rolePattern } from '@countersign/identity';
import type { Issuer } from '../config/config.ts';
import { toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { isCanonicalBase64url } from './compact-token.ts';

/** The claims of a verified access token. Each value matches the grammar of the identity contract. */
export type Claims = Readonly<{
  issuer: string;
  subject: string;
  tokenId: string;
  userId: string;
  role: string;
  tenantId: string;
  sessionId: string | undefined;
  issuedAtSec: number;
  expiresAtSec: number;
  authTimeSec: number | undefined;
  authMethods: readonly string[] | undefined;
  /** Thumbprint of the key that the token is bound to (RFC 9449 section 6.1). Undefined: a bearer token. */
  jkt: string | undefined;
}>;

/** A subject or token id: visible ASCII characters. */
export const visibleText = /^[\x21-\x7e]{1,256}$/;
const maxAuthMethods = 16;

type Payload = Readonly<Record<string, unknown>>;

/**
 * Reads the claims of a token whose signature is valid. Values are never repaired: an invalid one refuses the token.
 *
 * @param nowMs Unix milliseconds.
 * @throws AppError `token_audience_refused`, `token_claims_invalid` (the detail names the claim),
 *   `token_tenant_refused`, `token_role_refused`, `token_expired`, `token_not_yet_valid`.
 * @see RFC 9068 section 4, RFC 7519 section 4.1
 */
export function readClaims(payload: Payload, issuer: Issuer, nowMs: number): Claims {
  checkAudience(payload, issuer.audience);
  const claims: Claims = {
    issuer: issuer.issuer,
    subject: text(payload, 'sub', visibleText),
    tokenId: text(payload, 'jti', visibleText),
    userId: text(payload, issuer.claims.userId, idPattern),
    role: text(payload, issuer.claims.role, rolePattern),
    tenantId: text(payload, issuer.claims.tenantId, idPattern),
    sessionId: issuer.revocations !== undefined || has(payload, 'sid') ? text(payload, 'sid', idPattern) : undefined,
    issuedAtSec: time(payload, 'iat'),
    expiresAtSec: time(payload, 'exp'),
    authTimeSec: has(payload, 'auth_time') ? time(payload, 'auth_time') : undefined,
    authMethods: has(payload, 'amr') ? authMethods(payload) : undefined,
    jkt: has(payload, 'cnf') ? confirmation(payload) : undefined,
  };
  if (issuer.tenants?.has(claims.tenantId) === false) throw new AppError('token_tenant_refused');
  if (issuer.roles?.has(claims.role) === false) throw new AppError('token_role_refused');

  assertUnexpired(claims, nowMs);
  const notBeforeSec = has(payload, 'nbf') ? time(payload, 'nbf') : claims.issuedAtSec;
  if (Math.max(notBeforeSec, claims.issuedAtSec) * 1000 > nowMs + toleranceMs) {
    throw new AppError('token_not_yet_valid');
  }
  return claims;
}

/**
 * Checks the expiry, with tolerance. Call it on every use of a token, cached ones too.
 *
 * @throws AppError `token_expired`.
 */
export function assertUnexpired(claims: Pick<Claims, 'expiresAtSec'>, nowMs: number): void {
  if (nowMs >= claims.expiresAtSec * 1000 + toleranceMs) throw new AppError('token_expired');
}

function checkAudience(payload: Payload, ours: string): void {
  const audience = has(payload, 'aud') ? payload.aud : undefined;
  if (audience === ours) return;
  if (Array.isArray(audience) && audience.every((one) => typeof one === 'string') && audience.includes(ours)) return;
  throw new AppError('token_audience_refused');
}

function text(payload: Payload, name: string, grammar: RegExp): string {
  const value = has(payload, name) ? payload[name] : undefined;
  if (typeof value !== 'string' || !grammar.test(value)) throw invalid(name);
  return value;
}

function time(payload: Payload, name: string): number {
  const value = has(payload, name) ? payload[name] : undefined;
  if (typeof value !== 'number' || !isUnixSeconds(value)) throw invalid(name);
  return value;
}

function authMethods(payload: Payload): readonly string[] {
  const value = payload.amr;
  const fits =
    Array.isArray(value) &&
    value.length <= maxAuthMethods &&
    value.every((one) => typeof one === 'string' && isAuthMethod(one));
  if (!fits) throw invalid('amr');
  return value;
}

/** Accepts `jkt` alone. Another member (RFC 7800) could bind the token to something that the gateway does not check. */
function confirmation({ cnf }: Payload): string {
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) throw invalid('cnf');
  const { jkt, ...others } = cnf as Payload;
  const fits = Object.hasOwn(cnf, 'jkt') && typeof jkt === 'string' && jkt.length === 43 && isCanonicalBase64url(jkt);
  if (!fits || Object.keys(others).length > 0) throw invalid('cnf');
  return jkt;
}

// Own properties only: a claim name must not find a value on Object.prototype.
const has = (payload: Payload, name: string): boolean => Object.hasOwn(payload, name);

const invalid = (claim: string): AppError => new AppError('token_claims_invalid', { detail: { claim } });
