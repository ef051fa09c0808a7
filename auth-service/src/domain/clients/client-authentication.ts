import { createHash, KeyObject } from 'node:crypto';
import { exactSignature, isBase64url } from '@countersign/jwks';
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  decodeJwt,
  errors,
  type FlattenedJWSInput,
  type JWTHeaderParameters,
  jwtVerify,
} from 'jose';
import { AppError } from '../../errors.ts';
import { assertionAlgorithms, type ClientKeySet } from './client-rules.ts';

/** Token request parameters that authenticate the OAuth client. */
type CredentialParameters = Readonly<{
  client_id?: string | undefined;
  client_secret?: string | undefined;
  client_assertion?: string | undefined;
  client_assertion_type?: string | undefined;
}>;

export type ClientCredentials = Readonly<{ clientId: string }> &
  (
    | Readonly<{ method: 'client_secret_basic' | 'client_secret_post'; secret: string }>
    | Readonly<{ method: 'private_key_jwt'; assertion: string }>
  );

/**
 * Requires one method (RFC 6749 section 2.3): two could name different OAuth clients.
 *
 * @throws AppError `invalid_client`, `invalid_request`.
 */
export function readClientCredentials(
  authorization: string | undefined,
  form: CredentialParameters,
): ClientCredentials {
  const { client_secret: secret, client_assertion: assertion, client_assertion_type: type } = form;
  const withAssertion = assertion !== undefined || type !== undefined;
  const methods = [authorization !== undefined, secret !== undefined, withAssertion].filter(Boolean).length;
  if (methods > 1) throw refusal('invalid_request', 'Use only one method to authenticate the OAuth client.');
  const read =
    authorization !== undefined
      ? readBasic(authorization)
      : withAssertion
        ? readAssertion(assertion, type)
        : readPost(form);
  if (form.client_id !== undefined && form.client_id !== read.clientId)
    throw refusal('invalid_request', 'client_id does not match the credentials.');
  return read;
}

// RFC 7617 section 2. The scheme name is case-insensitive.
const basic = /^Basic +([A-Za-z0-9+/]+={0,2})$/i;

function readBasic(authorization: string): ClientCredentials {
  const [, encoded] = basic.exec(authorization) ?? [];
  const pair = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  const clientId = decodeForm(pair.slice(0, Math.max(0, colon)));
  const secret = decodeForm(pair.slice(colon + 1));
  if (colon < 1 || clientId === undefined || secret === undefined)
    throw refusal('invalid_client', 'Authorization must be HTTP Basic with a client id and a client secret.');
  return { method: 'client_secret_basic', clientId, secret };
}

/** Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1). */
function decodeForm(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

function readAssertion(assertion: string | undefined, type: string | undefined): ClientCredentials {
  if (assertion === undefined || type !== assertionType)
    throw refusal(
      'invalid_request',
      `client_assertion requires client_assertion_type=${assertionType}, and vice versa.`,
    );
  const clientId = claimedClientId(assertion);
  if (clientId === undefined)
    throw refusal('invalid_client', 'client_assertion must be a JWT with the client id in sub.');
  return { method: 'private_key_jwt', clientId, assertion };
}

function readPost({ client_id: clientId, client_secret: secret }: CredentialParameters): ClientCredentials {
  if (secret === undefined) throw refusal('invalid_client', 'The request has no OAuth client credentials.');
  if (clientId === undefined) throw refusal('invalid_request', 'client_secret requires client_id.');
  return { method: 'client_secret_post', clientId, secret };
}

/** The codes of RFC 6749 section 5.2. The message becomes `error_description`. */
const refusal = (code: 'invalid_client' | 'invalid_request', message: string) =>
  new AppError(code, { errors: [{ path: 'client_id', message }] });

/** `client_assertion_type` of RFC 7523 section 2.2. */
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** An assertion must expire within this time, so that we can soon forget used assertions. */
const maxLifetimeSec = 300;
const clockToleranceSec = 5;
const maxJtiLength = 256;

/** Accepted `typ` headers: none or `JWT` (RFC 7523), or that of draft-ietf-oauth-rfc7523bis. */
const types: readonly (string | undefined)[] = [undefined, 'JWT', 'client-authentication+jwt'];

/** May be used once: `hash` identifies the assertion until `expiresAt`, `keyThumbprint` the key that signed it. */
export type VerifiedAssertion = Readonly<{ hash: Buffer; expiresAt: Date; keyThumbprint: string }>;

export const refusedAssertion = (message: string) =>
  new AppError('invalid_client', { errors: [{ path: 'client_assertion', message }] });

/** Returns the client id that an unverified assertion claims. */
function claimedClientId(assertion: string): string | undefined {
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
 * @throws AppError `invalid_client` with the reason.
 */
export async function verifyAssertion(
  assertion: string,
  keys: ClientKeySet,
  expected: Readonly<{ clientId: string; audiences: readonly string[]; now: Date }>,
): Promise<VerifiedAssertion> {
  const { payload, protectedHeader, key } = await jwtVerify(assertion, strictKeys(assertion, keys), {
    algorithms: [...assertionAlgorithms],
    issuer: expected.clientId,
    subject: expected.clientId,
    requiredClaims: ['exp', 'jti', 'aud'],
    clockTolerance: clockToleranceSec,
    currentDate: expected.now,
  }).catch((error: unknown) => {
    throw error instanceof errors.JOSEError ? refusedAssertion(reasonOf(error)) : error;
  });
  if (!types.includes(protectedHeader.typ)) throw refusedAssertion('The assertion has the wrong typ.');
  const { aud, exp = 0, iat, jti } = payload;
  const nowSec = expected.now.getTime() / 1000;
  const audiences = [aud ?? []].flat();
  if (audiences.length === 0 || !audiences.every((one) => expected.audiences.includes(one)))
    throw refusedAssertion('aud must name this server and no other.');
  if (exp > nowSec + maxLifetimeSec + clockToleranceSec) throw refusedAssertion('The assertion expires too late: exp.');
  if (iat !== undefined && iat > nowSec + clockToleranceSec)
    throw refusedAssertion('The assertion was issued in the future: iat.');
  if (typeof jti !== 'string' || jti === '' || jti.length > maxJtiLength)
    throw refusedAssertion('The assertion has no usable jti.');
  const hash = createHash('sha256')
    .update(JSON.stringify([expected.clientId, jti]))
    .digest();
  const expiresAt = new Date((exp + clockToleranceSec) * 1000);
  return { hash, expiresAt, keyThumbprint: await calculateJwkThumbprint(key) };
}

/** jose accepts base64url that is not canonical, and an RSA-PSS signature that is shorter than the modulus. */
function strictKeys(assertion: string, keys: ClientKeySet) {
  const find = createLocalJWKSet(keys);
  return async (header: JWTHeaderParameters, token: FlattenedJWSInput) => {
    const key = await find(header, token);
    const isStrict = assertion.split('.').every((part) => isBase64url(part));
    if (isStrict && exactSignature(assertion, KeyObject.from(key), header.alg) !== undefined) return key;
    throw new errors.JWSSignatureVerificationFailed();
  };
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
