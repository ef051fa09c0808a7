import { createHash, createHmac, createSecretKey, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto';

export type SigningKey =
  | Readonly<{ algorithm: 'ed25519'; keyid: string; privateKey: KeyObject }>
  | Readonly<{ algorithm: 'hmac-sha256'; keyid: string; secret: Uint8Array }>;

/** The key determines the algorithm. A signature whose `alg` differs is refused. */
export type VerifyingKey =
  | Readonly<{ algorithm: 'ed25519'; publicKey: KeyObject }>
  | Readonly<{ algorithm: 'hmac-sha256'; secret: Uint8Array }>;

/** Minimum length of an HMAC secret. An attacker who guesses a secret can forge every identity. */
export const minSecretBytes = 32;

/** @throws RangeError if the secret is shorter than 32 bytes. */
export function assertStrongSecret(secret: Uint8Array): void {
  if (secret.byteLength < minSecretBytes) throw new RangeError(`an HMAC secret needs ${minSecretBytes} bytes or more`);
}

/**
 * Derives the keyid of a shared secret. Different secrets get different keyids. A keyid reveals nothing about a random secret.
 */
export function secretKeyid(secret: Uint8Array): string {
  return createHash('sha256').update('countersign hmac keyid\0').update(secret).digest('base64url').slice(0, 22);
}

/** Signs a signature base, which is ASCII (RFC 9421 sections 3.3.3 and 3.3.6). */
export function signBase(key: SigningKey, base: string): Buffer {
  return Buffer.from(signBaseAsBase64(key, base), 'base64');
}

/** Like {@link signBase}, in base64. */
export function signBaseAsBase64(key: SigningKey, base: string): string {
  if (key.algorithm === 'ed25519') return sign(null, Buffer.from(base, 'latin1'), key.privateKey).toString('base64');
  return hmac(key.secret, base).digest('base64');
}

/**
 * Verifies a signature. The HMAC comparison takes constant time, so that its duration reveals nothing about the
 * expected value.
 */
export function verifyBase(key: VerifyingKey, base: string, signature: Uint8Array): boolean {
  if (key.algorithm === 'ed25519') {
    return verify(null, Buffer.from(base, 'latin1'), key.publicKey, signature);
  }
  const expected = hmac(key.secret, base).digest();
  return signature.byteLength === expected.byteLength && timingSafeEqual(expected, signature);
}

const secretKeys = new WeakMap<Uint8Array, KeyObject>();

function hmac(secret: Uint8Array, base: string) {
  let key = secretKeys.get(secret);
  if (key === undefined) {
    assertStrongSecret(secret);
    key = createSecretKey(secret);
    secretKeys.set(secret, key);
  }
  return createHmac('sha256', key).update(base, 'latin1');
}
