import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';

type Method = Readonly<{
  keyType: 'rsa' | 'ec' | 'ed25519';
  hash: 'sha256' | 'sha384' | 'sha512' | null;
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
  ['ES256', { keyType: 'ec', hash: 'sha256', options: ecdsa }],
  ['ES384', { keyType: 'ec', hash: 'sha384', options: ecdsa }],
  ['ES512', { keyType: 'ec', hash: 'sha512', options: ecdsa }],
  ['EdDSA', { keyType: 'ed25519', hash: null }],
  ['Ed25519', { keyType: 'ed25519', hash: null }],
]);

/**
 * Verifies the signature of a JWS in compact form. It runs on the calling thread: the Web Cryptography API needs twice
 * the CPU time for a token, most of it to pass the work to another thread.
 *
 * @param text A token that `parseJwt` accepts.
 * @param key A key that was imported for this algorithm, so its curve fits.
 * @param algorithm The JOSE name. An unknown one, and one of another kind of key, verifies nothing.
 */
export function verifyJws(text: string, key: KeyObject, algorithm: string): boolean {
  const method = methods.get(algorithm);
  if (method === undefined || key.asymmetricKeyType !== method.keyType) return false;
  const end = text.lastIndexOf('.');
  const signed = Buffer.from(text.slice(0, end), 'latin1');
  return verify(method.hash, signed, { key, ...method.options }, Buffer.from(text.slice(end + 1), 'base64url'));
}
