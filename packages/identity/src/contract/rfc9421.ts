import { createHash, createHmac, createSecretKey, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto';
import { signatureInputPattern } from './grammar.ts';

/** The label of every Countersign signature (RFC 9421 section 4). */
const label = 'countersign';

/** Names from the HTTP Signature Algorithms registry (RFC 9421 section 6.2). */
export type SignatureAlgorithm = 'ed25519' | 'hmac-sha256';

export type SignatureParams = Readonly<{
  createdSec: number;
  expiresSec: number;
  nonce: string;
  keyid: string;
  algorithm: string;
  tag: string;
}>;

export type SignatureInput = SignatureParams &
  Readonly<{
    /** The covered components exactly as received, including the parentheses. */
    list: string;
    /** The value of `@signature-params`, exactly as received. */
    raw: string;
  }>;

/** Serializes covered components (RFC 9421 section 2.5). The names are constants, so nothing needs escaping. */
export function componentList(names: readonly string[]): string {
  return `(${names.map((name) => `"${name}"`).join(' ')})`;
}

/** Formats one line of a signature base (RFC 9421 section 2.5), without its line feed. */
export function componentLine(name: string, value: string): string {
  return `"${name}": ${value}`;
}

/** Completes a signature base (RFC 9421 section 2.5) of lines that end with line feeds. */
export function signatureBase(lines: string, rawParams: string): string {
  return `${lines}"@signature-params": ${rawParams}`;
}

/** Serializes `@signature-params`: the list and all six parameters, in the contract's order. */
export function serializeParams(
  list: string,
  params: Omit<SignatureParams, 'algorithm'> & { algorithm: SignatureAlgorithm },
): string {
  return `${list};created=${params.createdSec};expires=${params.expiresSec};nonce="${params.nonce}";keyid="${params.keyid}";alg="${params.algorithm}";tag="${params.tag}"`;
}

/** Returns the two headers that carry a signature, alternating names and values. */
export function signatureHeaders(rawParams: string, signatureBase64: string): [string, string, string, string] {
  return ['signature-input', `${label}=${rawParams}`, 'signature', `${label}=:${signatureBase64}:`];
}

/** @returns undefined for any deviation from the contract's form, such as several labels or reordered parameters. */
export function parseSignatureInput(value: string): SignatureInput | undefined {
  const groups = signatureInputPattern.exec(value)?.groups;
  if (groups === undefined) return undefined;
  const { raw = '', list = '', created, expires, nonce = '', keyid = '', alg = '', tag = '' } = groups;
  return { raw, list, createdSec: Number(created), expiresSec: Number(expires), nonce, keyid, algorithm: alg, tag };
}

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

/** Derives the keyid of a shared secret, which reveals nothing about a random secret. */
export function secretKeyid(secret: Uint8Array): string {
  return createHash('sha256').update('countersign hmac keyid\0').update(secret).digest('base64url').slice(0, 22);
}

/** Signs a signature base, which is ASCII (RFC 9421 sections 3.3.3 and 3.3.6). */
export function signBase(key: SigningKey, base: string): Buffer {
  return Buffer.from(signBaseAsBase64(key, base), 'base64');
}

/** Like {@link signBase}, but returns base64. */
export function signBaseAsBase64(key: SigningKey, base: string): string {
  if (key.algorithm === 'ed25519') return sign(null, Buffer.from(base, 'latin1'), key.privateKey).toString('base64');
  return hmac(key.secret, base).digest('base64');
}

/** Verifies a signature. The HMAC comparison takes constant time. */
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
