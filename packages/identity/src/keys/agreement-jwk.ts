import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { isPublishedKey } from './published-keys.ts';

/** The `alg` of the keys from which the gateway and a service derive their HMAC key. */
export const agreementAlgorithm = 'countersign-agreed-v1';

/** One side's public X25519 key. */
export type AgreementPublicKey = Readonly<{
  /** Its RFC 7638 thumbprint. */
  kid: string;
  publicKey: KeyObject;
}>;

/** One side's own key pair. */
export type AgreementKeyPair = AgreementPublicKey & Readonly<{ privateKey: KeyObject }>;

/** A public key as it is published. */
export type AgreementJwk = Readonly<{
  kty: 'OKP';
  crv: 'X25519';
  x: string;
  kid: string;
  use: 'enc';
  alg: typeof agreementAlgorithm;
}>;

export type PrivateAgreementJwk = AgreementJwk & Readonly<{ d: string }>;

/** Why a published key must not be used. */
export type AgreementRefusal = 'malformed' | 'private' | 'algorithm_mismatch' | 'weak';

type Jwk = Readonly<Record<string, unknown>>;

/** Whether an entry of a key set is meant for key agreement. Other entries serve other purposes. */
export function isAgreementJwk(jwk: Jwk): boolean {
  return jwk.alg === agreementAlgorithm;
}

/** Imports a published key, or returns the reason why it must not be used. */
export function importAgreementJwk(jwk: Jwk): AgreementPublicKey | Readonly<{ refused: AgreementRefusal }> {
  const { kty, crv, use, alg, kid, x, d } = jwk;
  // The private half of this key is published, so anyone could derive the agreed key.
  if (d !== undefined || isPublishedKey(jwk)) return { refused: 'private' };
  if (kty !== 'OKP' || crv !== 'X25519' || use !== 'enc' || alg !== agreementAlgorithm) {
    return { refused: 'algorithm_mismatch' };
  }
  if (!isCanonicalPoint(x)) return { refused: 'malformed' };
  if (lowOrderPoints.includes(bytesOf(x).toString('hex'))) return { refused: 'weak' };
  if (kid !== agreementThumbprint(x)) return { refused: 'malformed' };
  return { kid, publicKey: createPublicKey({ key: { kty, crv, x }, format: 'jwk' }) };
}

/**
 * Returns the key-agreement keys of a key set, in its order, without those that must not be used.
 *
 * @returns Undefined if the value is not a key set.
 */
export function agreementKeysIn(jwks: unknown): readonly AgreementPublicKey[] | undefined {
  const entries = (jwks as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(entries) || entries.length > maxEntries) return undefined;
  const records = entries.filter((entry): entry is Jwk => typeof entry === 'object' && entry !== null);
  return records.flatMap((jwk) => {
    // Neither of two keys with the same kid is used: the order of entries must not decide.
    if (records.filter(({ kid }) => kid === jwk.kid).length > 1) return [];
    const key = importAgreementJwk(jwk);
    return 'refused' in key ? [] : [key];
  });
}

/**
 * Reads a private key.
 *
 * @throws RangeError when it is not a private JWK as {@link newAgreementJwk} makes it. The message reveals nothing
 *   about the key.
 */
export function agreementKeyFromJwk(jwk: unknown): AgreementKeyPair {
  const { d, ...half } = (jwk ?? {}) as Jwk;
  const key = importAgreementJwk(half);
  if ('refused' in key) throw new RangeError(`it is not an X25519 private JWK: ${key.refused}`);
  const { x } = half;
  if (!isBytes32(d)) throw new RangeError('it is not an X25519 private JWK: d');
  const privateKey = privateKeyOf(d);
  // The published key must belong to `d`.
  if (publicValue(createPublicKey(privateKey)) !== x) {
    throw new RangeError('the x of an X25519 private JWK does not belong to its d');
  }
  return { ...key, privateKey };
}

/** RFC 8410 section 7: everything before the 32 bytes of an X25519 private key. */
const pkcs8Head = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Uses only `d`, because Node versions differ in how they treat an `x` that does not match `d`. */
function privateKeyOf(d: string): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Head, bytesOf(d)]), format: 'der', type: 'pkcs8' });
}

/** Generates a key. The kid never starts with `-`, which a command line would read as an option. */
export function newAgreementJwk(): PrivateAgreementJwk {
  const { x, d } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new Error('node made a key without x or d');
  const kid = agreementThumbprint(x);
  if (kid.startsWith('-')) return newAgreementJwk();
  return { kty: 'OKP', crv: 'X25519', use: 'enc', alg: agreementAlgorithm, kid, x, d };
}

export function publicAgreementJwk({ kid, publicKey }: AgreementPublicKey): AgreementJwk {
  return { kty: 'OKP', crv: 'X25519', use: 'enc', alg: agreementAlgorithm, kid, x: publicValue(publicKey) };
}

/** Returns a public key's 32 bytes (RFC 7748 section 5). */
export function publicBytes({ publicKey }: AgreementPublicKey): Buffer {
  return bytesOf(publicValue(publicKey));
}

/** RFC 7638 section 3.2, with the members of RFC 8037 section 2. */
function agreementThumbprint(x: string): string {
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'X25519', kty: 'OKP', x }))
    .digest('base64url');
}

function publicValue(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) throw new Error('not an X25519 key');
  return x;
}

const maxEntries = 100;

const bytesOf = (text: string) => Buffer.from(text, 'base64url');

/** Whether a value is 32 bytes in canonical base64url. */
function isBytes32(value: unknown): value is string {
  return typeof value === 'string' && value.length === 43 && bytesOf(value).toString('base64url') === value;
}

/** 2^255 - 19, the field of RFC 7748 section 4.1. */
const fieldPrime = 2n ** 255n - 19n;

/**
 * Whether a value is below the field's prime. RFC 7748 section 5 would reduce larger ones and ignore the top bit, so
 * one key would have several thumbprints.
 */
function isCanonicalPoint(value: unknown): value is string {
  if (!isBytes32(value)) return false;
  return BigInt(`0x${bytesOf(value).reverse().toString('hex')}`) < fieldPrime;
}

/**
 * Canonical points of order 1, 2, 4 and 8. Their shared secret is zero for every key (RFC 7748 sections 6.1 and 7).
 */
const lowOrderPoints = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];
