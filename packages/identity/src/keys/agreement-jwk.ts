import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type ImportedJwk, isBase64url, jwkThumbprint, parseJwks } from '@countersign/jwks';
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

const common = { kty: 'OKP', crv: 'X25519', use: 'enc', alg: agreementAlgorithm } as const;

/** A public key as it is published. */
export type AgreementJwk = Readonly<typeof common & { kid: string; x: string; aud?: string }>;

export type PrivateAgreementJwk = AgreementJwk & Readonly<{ d: string }>;

type Jwk = Readonly<Record<string, unknown>>;

/** Whether an entry of a key set is meant for key agreement. Other entries serve other purposes. */
export function isAgreementJwk(jwk: Jwk): boolean {
  return jwk.alg === agreementAlgorithm;
}

/** Imports a published key, or returns the reason why it must not be used. The kid must be its thumbprint. */
export function importAgreementJwk(jwk: Jwk): ImportedJwk {
  const { kty, crv, use, alg, kid, x, d } = jwk;
  // The private half of this key is published, so anyone could derive the agreed key.
  if (d !== undefined || isPublishedKey(jwk)) return { refused: 'private' };
  if (kty !== 'OKP' || crv !== 'X25519' || use !== 'enc' || alg !== agreementAlgorithm) {
    return { refused: 'algorithm_mismatch' };
  }
  if (!isCanonicalPoint(x)) return { refused: 'malformed' };
  if (lowOrderPoints.includes(bytesOf(x).toString('hex'))) return { refused: 'weak' };
  if (kid !== jwkThumbprint({ ...common, x })) return { refused: 'malformed' };
  return { alg, key: createPublicKey({ key: { kty, crv, x }, format: 'jwk' }) };
}

/** Whether a service with this name may use an entry: entries of older versions have no `aud`. */
const isFor = ({ aud }: Jwk, audience: string | undefined) =>
  aud === undefined || audience === undefined || aud === audience;

/**
 * Returns the usable agreement keys of a key set, in its order. Undefined if the value is not a key set.
 *
 * @param audience Ignores the entries that name another service.
 */
export function agreementKeysIn(jwks: unknown, audience?: string): readonly AgreementPublicKey[] | undefined {
  const parsed = parseJwks(jwks, [agreementAlgorithm], (jwk) =>
    isFor(jwk, audience) ? importAgreementJwk(jwk) : { refused: 'foreign' },
  );
  return parsed && Array.from(parsed.keys.values(), ({ kid, key }) => ({ kid, publicKey: key }));
}

/**
 * Reads a private key.
 *
 * @throws RangeError when it is not a private JWK as {@link newAgreementJwk} makes it, or names another service than
 *   `audience`. The message reveals nothing about the key.
 */
export function agreementKeyFromJwk(jwk: unknown, audience?: string): AgreementKeyPair {
  const { d, ...half } = (jwk ?? {}) as Jwk;
  if (!isFor(half, audience)) throw new RangeError(`it is the key of another service: its aud is not ${audience}`);
  const imported = importAgreementJwk(half);
  if ('refused' in imported) throw new RangeError(`it is not an X25519 private JWK: ${imported.refused}`);
  const { kid, x } = half;
  if (!isBase64url(d, 32)) throw new RangeError('it is not an X25519 private JWK: d');
  const privateKey = privateKeyOf(d);
  // The published key must belong to `d`.
  if (publicValue(createPublicKey(privateKey)) !== x) {
    throw new RangeError('the x of an X25519 private JWK does not belong to its d');
  }
  return { kid: String(kid), publicKey: imported.key, privateKey };
}

/** RFC 8410 section 7: everything before the 32 bytes of an X25519 private key. */
const pkcs8Head = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Uses only `d`, because Node versions differ in how they treat an `x` that does not match `d`. */
function privateKeyOf(d: string): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Head, bytesOf(d)]), format: 'der', type: 'pkcs8' });
}

/**
 * Generates a key. The kid never starts with `-`, which a command line would read as an option.
 *
 * @param audience The service's name. The key then works for no other service.
 */
export function newAgreementJwk(audience?: string): PrivateAgreementJwk {
  const { x, d } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new Error('node made a key without x or d');
  const kid = jwkThumbprint({ ...common, x });
  return kid.startsWith('-') ? newAgreementJwk(audience) : { ...common, kid, x, d, ...audOf(audience) };
}

export function publicAgreementJwk({ kid, publicKey }: AgreementPublicKey, audience?: string): AgreementJwk {
  return { ...common, kid, x: publicValue(publicKey), ...audOf(audience) };
}

const audOf = (audience: string | undefined) => (audience === undefined ? {} : { aud: audience });

/** Returns a public key's 32 bytes (RFC 7748 section 5). */
export function publicBytes({ publicKey }: AgreementPublicKey): Buffer {
  return bytesOf(publicValue(publicKey));
}

function publicValue(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) throw new Error('not an X25519 key');
  return x;
}

const bytesOf = (text: string) => Buffer.from(text, 'base64url');

/** 2^255 - 19, the field of RFC 7748 section 4.1. */
const fieldPrime = 2n ** 255n - 19n;

/** Whether a value is below the field's prime. A larger one would be reduced: one key with several thumbprints. */
function isCanonicalPoint(value: unknown): value is string {
  return isBase64url(value, 32) && BigInt(`0x${bytesOf(value).reverse().toString('hex')}`) < fieldPrime;
}

/** Canonical points of order 1, 2, 4 and 8. Their shared secret is zero for every key (RFC 7748 sections 6.1 and 7). */
const lowOrderPoints = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];
