import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, createLocalJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import { assertionAlgorithms, type ClientKeySet } from './client-keys.ts';

/** `client_assertion_type` of RFC 7523 section 2.2. */
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** An assertion must expire within this time, so that we can soon forget used assertions. */
const maxLifetimeSec = 300;
const clockToleranceSec = 5;
const maxJtiLength = 256;

/**
 * Accepted `typ` headers: none or `JWT` (RFC 7523), or the explicit type from its successor
 * (draft-ietf-oauth-rfc7523bis).
 */
const types: readonly (string | undefined)[] = [undefined, 'JWT', 'client-authentication+jwt'];

/**
 * A verified assertion. It may be used once; `hash` identifies it until `expiresAt`. `keyThumbprint` identifies the key
 * that signed it.
 */
export type VerifiedAssertion = Readonly<{ hash: Buffer; expiresAt: Date; keyThumbprint: string }>;

/** Why an assertion was refused: the text of `error_description`. */
export type AssertionRefusal = Readonly<{ refused: string }>;

/** Returns the client id that an unverified assertion claims. */
export function claimedClientId(assertion: string): string | undefined {
  try {
    const { sub } = decodeJwt(assertion);
    return typeof sub === 'string' ? sub : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Verifies a client assertion (RFC 7523 section 3): a signature by one of the OAuth client's keys, the client id in
 * `iss` and `sub`, this server in `aud`, an `exp` in the near future, and a `jti`.
 *
 * @param expected.audiences The issuer and the token endpoint's URL. The assertion must not name another server, because
 *   that server could replay it here.
 */
export async function verifyAssertion(
  assertion: string,
  keys: ClientKeySet,
  expected: Readonly<{ clientId: string; audiences: readonly string[]; now: Date }>,
): Promise<VerifiedAssertion | AssertionRefusal> {
  let payload: JWTPayload;
  let keyThumbprint: string;
  try {
    const verified = await jwtVerify(assertion, createLocalJWKSet(keys), {
      algorithms: [...assertionAlgorithms],
      issuer: expected.clientId,
      subject: expected.clientId,
      requiredClaims: ['exp', 'jti', 'aud'],
      clockTolerance: clockToleranceSec,
      currentDate: expected.now,
    });
    if (!types.includes(verified.protectedHeader.typ)) return { refused: 'The assertion has the wrong typ.' };
    payload = verified.payload;
    keyThumbprint = await calculateJwkThumbprint(verified.key);
  } catch (error) {
    if (error instanceof errors.JOSEError) return { refused: reasonOf(error) };
    throw error;
  }
  const { aud, exp = 0, iat, jti } = payload;
  const nowSec = expected.now.getTime() / 1000;
  const audiences = [aud ?? []].flat();
  if (audiences.length === 0 || !audiences.every((one) => expected.audiences.includes(one)))
    return { refused: 'aud must name this server and no other.' };
  if (exp > nowSec + maxLifetimeSec + clockToleranceSec) return { refused: 'The assertion expires too late: exp.' };
  if (iat !== undefined && iat > nowSec + clockToleranceSec)
    return { refused: 'The assertion was issued in the future: iat.' };
  if (typeof jti !== 'string' || jti === '' || jti.length > maxJtiLength)
    return { refused: 'The assertion has no usable jti.' };
  const hash = createHash('sha256')
    .update(JSON.stringify([expected.clientId, jti]))
    .digest();
  return { hash, expiresAt: new Date((exp + clockToleranceSec) * 1000), keyThumbprint };
}

/** Whether an OAuth client has the key with this thumbprint (RFC 7638). A later key may reuse the same `kid`. */
export async function hasKey(keys: ClientKeySet | null, thumbprint: string): Promise<boolean> {
  const thumbprints = await Promise.all((keys?.keys ?? []).map((key) => calculateJwkThumbprint(key)));
  return thumbprints.includes(thumbprint);
}

function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'The assertion has expired: exp.';
  if (error instanceof errors.JWTClaimValidationFailed)
    return `The assertion has a wrong or missing claim: ${error.claim}.`;
  if (error instanceof errors.JWSSignatureVerificationFailed) return "The assertion's signature is invalid.";
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return "The assertion's kid and alg match no key of the OAuth client.";
  return 'The assertion is not a signed JWT.';
}
