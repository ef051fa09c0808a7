import { createPublicKey, type KeyObject } from 'node:crypto';
import { isBase64url } from './base64url.ts';
import { isRocaModulus } from './roca.ts';

export type JwkRefusal =
  | 'malformed'
  | 'symmetric'
  | 'private'
  | 'not_for_signatures'
  | 'algorithm_not_allowed'
  | 'algorithm_mismatch'
  | 'algorithm_ambiguous'
  /** The key belongs to another signer. */
  | 'foreign'
  | 'weak';

export type ImportedJwk = { alg: string; key: KeyObject } | { refused: JwkRefusal };

type Jwk = Readonly<Record<string, unknown>>;

/** Imports one key set entry, like {@link importPublicJwk}. The caller decides what else to accept. */
export type ImportJwk = (jwk: Jwk, algorithms: readonly string[]) => ImportedJwk;

/** Each curve's only algorithm (RFC 7518 section 3.4, RFC 8037), and a coordinate's length in bytes. */
const curves: Readonly<Record<string, { kty: string; alg: string; bytes: number }>> = {
  'P-256': { kty: 'EC', alg: 'ES256', bytes: 32 },
  'P-384': { kty: 'EC', alg: 'ES384', bytes: 48 },
  'P-521': { kty: 'EC', alg: 'ES512', bytes: 66 },
  Ed25519: { kty: 'OKP', alg: 'EdDSA', bytes: 32 },
};

/** RFC 9864 renames EdDSA to Ed25519 for the same signature. Configurations and key sets use the old name. */
export const keyAlgorithmOf = (named: string): string => (named === 'Ed25519' ? 'EdDSA' : named);

const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * Imports one public key (RFC 7517, RFC 7518 section 6), or returns the reason why it must not be used.
 *
 * @param algorithms The JOSE names that this signer may use. The imported key works with exactly one of them.
 */
export function importPublicJwk(jwk: Jwk, algorithms: readonly string[]): ImportedJwk {
  if (jwk.kty === 'oct') return { refused: 'symmetric' };
  // The private part of this key is public, so anyone could sign with it.
  if (privateMembers.some((member) => jwk[member] !== undefined)) return { refused: 'private' };
  if (!isForSignatures(jwk)) return { refused: 'not_for_signatures' };
  const chosen = algorithmOf(jwk, algorithms);
  if ('refused' in chosen) return chosen;
  if (!algorithms.includes(chosen.alg)) return { refused: 'algorithm_not_allowed' };
  const members = keyMembersOf(jwk);
  if (members === undefined) return { refused: 'malformed' };
  let key: KeyObject;
  try {
    key = createPublicKey({ key: members, format: 'jwk' });
  } catch {
    // OpenSSL throws various errors, for example for a point that is not on the curve.
    return { refused: 'malformed' };
  }
  return isWeak(key, members) ? { refused: 'weak' } : { alg: chosen.alg, key };
}

function isForSignatures(jwk: Jwk): boolean {
  if (jwk.use !== undefined && jwk.use !== 'sig') return false;
  return jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'));
}

function algorithmOf(jwk: Jwk, algorithms: readonly string[]): { alg: string } | { refused: JwkRefusal } {
  if (jwk.alg !== undefined && typeof jwk.alg !== 'string') return { refused: 'malformed' };
  if (jwk.kty === 'RSA') return rsaAlgorithmOf(jwk.alg, algorithms);
  const curve = typeof jwk.crv === 'string' && Object.hasOwn(curves, jwk.crv) ? curves[jwk.crv] : undefined;
  if (curve === undefined) return { refused: 'algorithm_not_allowed' };
  if (curve.kty !== jwk.kty) return { refused: 'algorithm_mismatch' };
  const isOfCurve = jwk.alg === undefined || keyAlgorithmOf(jwk.alg) === curve.alg;
  return isOfCurve ? { alg: curve.alg } : { refused: 'algorithm_mismatch' };
}

function rsaAlgorithmOf(named: string | undefined, algorithms: readonly string[]) {
  if (named !== undefined) {
    return rsaAlgorithms.includes(named) ? { alg: named } : ({ refused: 'algorithm_mismatch' } as const);
  }
  const [only, ...others] = algorithms.filter((alg) => rsaAlgorithms.includes(alg));
  if (only === undefined) return { refused: 'algorithm_not_allowed' } as const;
  return others.length === 0 ? { alg: only } : ({ refused: 'algorithm_ambiguous' } as const);
}

/** Picks the members that define the key, in canonical base64url. No other member reaches OpenSSL. */
function keyMembersOf(jwk: Jwk): Record<string, string> | undefined {
  const { kty, crv, x, y, n, e } = jwk;
  if (kty === 'RSA') {
    return isBase64url(n) && isBase64url(e) && n.length <= 2000 && e.length <= 12 ? { kty, n, e } : undefined;
  }
  const bytes = curves[String(crv)]?.bytes;
  if (!isBase64url(x, bytes)) return undefined;
  if (kty === 'OKP') return { kty, crv: String(crv), x };
  return kty === 'EC' && isBase64url(y, bytes) ? { kty, crv: String(crv), x, y } : undefined;
}

function isWeak(key: KeyObject, members: Record<string, string>): boolean {
  if (key.asymmetricKeyType === 'rsa') {
    const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
    // RFC 7518 section 3.3 requires 2048 bits. With an exponent of 1, every message is its own signature.
    if (modulusLength < 2048 || publicExponent < 3n || publicExponent % 2n === 0n) return true;
    return isRocaModulus(Buffer.from(members.n ?? '', 'base64url'));
  }
  return key.asymmetricKeyType === 'ed25519' && isWeakPoint(Buffer.from(members.x ?? '', 'base64url'));
}

/** Points of small order, also in non-canonical forms (libsodium's list). Signatures under them can be forged. */
const smallOrderPoints = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

/** y must be below this prime (RFC 8032 section 5.1). Libraries disagree on whether to reduce a larger y. */
const fieldPrime = 2n ** 255n - 19n;

function isWeakPoint(point: Buffer): boolean {
  const unsigned = Buffer.from(point);
  unsigned.writeUInt8(unsigned.readUInt8(31) & 0x7f, 31); // The top bit is the sign of x.
  if (smallOrderPoints.includes(unsigned.toString('hex'))) return true;
  return BigInt(`0x${unsigned.reverse().toString('hex')}`) >= fieldPrime;
}
