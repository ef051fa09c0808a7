import { isBase64url, type KeySet, KeySetUnavailable, keyAlgorithmOf, verifyJws } from '@countersign/jwks';
import { decodeJwt, decodeProtectedHeader } from 'jose';

/** The error codes of RFC 8935 section 2.4. */
export type EventTokenErrorCode =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed';

/** A token that is refused. The message says why, without any part of the token. */
export class EventTokenError extends Error {
  override readonly name = 'EventTokenError';
  readonly code: EventTokenErrorCode;

  constructor(code: EventTokenErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export type Json = Readonly<Record<string, unknown>>;

/** A token whose signature has not been verified. */
type UnverifiedToken = Readonly<{ text: string; header: Json; payload: Json }>;

/** The longest accepted token, in characters. */
const maxTokenLength = 16_384;

/**
 * Parses a token and checks its header, before any key is looked up.
 *
 * @param types The accepted values of `typ`, in lower case, without `application/`.
 * @throws EventTokenError `invalid_request`
 */
export function parseToken(text: string, types: readonly string[]): UnverifiedToken {
  if (text.length > maxTokenLength) throw new EventTokenError('invalid_request', 'the token is too large');
  // jose skips spaces and unused bits, so that one token could be written in several ways.
  const parts = text.split('.');
  if (parts.length !== 3 || !parts.every((part) => isBase64url(part))) {
    throw new EventTokenError('invalid_request', 'the token is not a signed JWT in compact form');
  }
  let header: Json;
  let payload: Json;
  try {
    header = decodeProtectedHeader(text);
    payload = decodeJwt(text);
  } catch (cause) {
    throw new EventTokenError('invalid_request', 'the token is not a JWT', cause);
  }
  const { typ } = header;
  if (typeof typ !== 'string' || !types.includes(typ.toLowerCase().replace(/^application\//, ''))) {
    throw new EventTokenError('invalid_request', 'the token has another typ');
  }
  for (const name of ['jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64']) {
    if (header[name] !== undefined) throw new EventTokenError('invalid_request', `the header has ${name}`);
  }
  return { text, header, payload };
}

/**
 * Verifies the signature. An unknown key may be new, and a key that does not match may have been replaced, so both are
 * looked up once. The key set limits how often it fetches.
 *
 * @param algorithms JOSE names of the algorithms that the signer may use.
 * @throws EventTokenError `invalid_key`, `invalid_request`. KeySetUnavailable: the keys cannot be fetched now.
 */
export async function verifySignature(
  { text, header: { alg, kid } }: UnverifiedToken,
  keys: Pick<KeySet, 'find' | 'lookup'>,
  algorithms: readonly string[],
): Promise<void> {
  if (typeof alg !== 'string' || !algorithms.includes(keyAlgorithmOf(alg))) {
    throw new EventTokenError('invalid_request', 'the token is signed with another algorithm');
  }
  if (typeof kid !== 'string') throw new EventTokenError('invalid_key', 'the token names no key');
  const name = keyAlgorithmOf(alg);
  const key = keys.find(kid, name) ?? (await keys.lookup(kid, name));
  if (key === undefined) throw new EventTokenError('invalid_key', 'the key is unknown');
  if (verifyJws(text, key, alg)) return;
  const replaced = await keys.lookup(kid, name, key).catch((error: unknown) => {
    // The known key does not match, so as far as we can tell, the token is at fault.
    if (error instanceof KeySetUnavailable) return undefined;
    throw error;
  });
  if (replaced === undefined || replaced.equals(key) || !verifyJws(text, replaced, alg)) {
    throw new EventTokenError('invalid_key', 'the signature is invalid');
  }
}

/** @throws EventTokenError `invalid_audience` */
export function checkAudience({ aud }: Json, audience: readonly string[]): void {
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!named.some((one) => typeof one === 'string' && audience.includes(one))) {
    throw new EventTokenError('invalid_audience', 'the token is for another audience');
  }
}

/** @throws EventTokenError `invalid_request` */
export function readIdAndTime({ jti, iat }: Json): Readonly<{ jti: string; issuedAtMs: number }> {
  if (!isText(jti)) throw new EventTokenError('invalid_request', 'jti is missing');
  if (!isTime(iat)) throw new EventTokenError('invalid_request', 'iat is missing');
  return { jti, issuedAtMs: iat * 1000 };
}

/** A text of 1 to 256 characters. */
export const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 256;

/** A number that can be a time, in seconds or milliseconds. */
export const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e14;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
