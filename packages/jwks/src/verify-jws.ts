import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { decodeBase64url } from './base64url.ts';

type Method = Readonly<{
  keyType: 'rsa' | 'ec' | 'ed25519';
  hash: 'sha256' | 'sha384' | 'sha512' | null;
  /** The length of a signature. Undefined for RSA, whose signatures are as long as the modulus. */
  bytes?: number;
  options?: Readonly<Omit<VerifyKeyObjectInput, 'key'>>;
}>;

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const ecdsa = { dsaEncoding: 'ieee-p1363' } as const;

/** RFC 7518 section 3.1, RFC 8037 and RFC 9864. `none` and the symmetric algorithms are missing on purpose. */
const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['RS256', { keyType: 'rsa', hash: 'sha256' }],
  ['RS384', { keyType: 'rsa', hash: 'sha384' }],
  ['RS512', { keyType: 'rsa', hash: 'sha512' }],
  ['PS256', { keyType: 'rsa', hash: 'sha256', options: pss }],
  ['PS384', { keyType: 'rsa', hash: 'sha384', options: pss }],
  ['PS512', { keyType: 'rsa', hash: 'sha512', options: pss }],
  ['ES256', { keyType: 'ec', hash: 'sha256', bytes: 64, options: ecdsa }],
  ['ES384', { keyType: 'ec', hash: 'sha384', bytes: 96, options: ecdsa }],
  ['ES512', { keyType: 'ec', hash: 'sha512', bytes: 132, options: ecdsa }],
  ['EdDSA', { keyType: 'ed25519', hash: null, bytes: 64 }],
  ['Ed25519', { keyType: 'ed25519', hash: null, bytes: 64 }],
]);

/**
 * Returns the signature of a JWS in compact form, if it has the exact length of its algorithm and canonical base64url
 * (RFC 8017 sections 8.1.2 and 8.2.2, RFC 7518 section 3.4, RFC 8032 section 5.1.7). OpenSSL, and so jose, also accepts
 * an RSA-PSS signature without its leading zero bytes, so one token could be written in two ways.
 *
 * @param algorithm The JOSE name. An unknown one, and one of another kind of key, has no signatures.
 */
export function exactSignature(text: string, key: KeyObject, algorithm: string): Buffer | undefined {
  const method = methods.get(algorithm);
  if (method === undefined || key.asymmetricKeyType !== method.keyType) return undefined;
  const signature = decodeBase64url(text.slice(text.lastIndexOf('.') + 1));
  const { bytes = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8) } = method;
  return signature?.length === bytes ? signature : undefined;
}

/**
 * Verifies a signature by node:crypto on the calling thread. For proofs, which come with each request: the Web
 * Cryptography API, which jose uses for tokens, needs twice the CPU time, most of it to pass the work to another thread.
 *
 * @param text Three parts in canonical base64url.
 * @param key A key that was imported for this algorithm, so its curve fits.
 */
export function verifyJws(text: string, key: KeyObject, algorithm: string): boolean {
  const signature = exactSignature(text, key, algorithm);
  const method = methods.get(algorithm);
  if (signature === undefined || method === undefined) return false;
  const signed = Buffer.from(text.slice(0, text.lastIndexOf('.')), 'latin1');
  return verify(method.hash, signed, { key, ...method.options }, signature);
}
