import { createHash, type KeyObject } from 'node:crypto';
import { importPublicJwk } from '@countersign/jwks';

/** What a proof may be signed with; also what `algs` of a challenge says. Asymmetric only (RFC 9449 section 4.3, point 5). */
export const proofAlgorithms = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256'] as const;
type ProofAlgorithm = (typeof proofAlgorithms)[number];

/** A client's key, as its own proof carries it: good for nothing but telling whether two proofs are by the same client. */
export type ProofKey = Readonly<{
  key: KeyObject;
  /** RFC 7638 with SHA-256, 43 characters: what `cnf.jkt` is compared with. */
  thumbprint: string;
}>;

// The client chooses its key, and we pay for its size.
const maxRsaBits = 4096;

/**
 * Imports the `jwk` of a proof's header: a public key of the kind that the algorithm needs, in the one spelling of its numbers.
 *
 * @returns A text where the key is refused: why, for the log.
 * @see RFC 9449 section 4.3, points 5 and 7
 */
export function importProofKey(jwk: unknown, algorithm: ProofAlgorithm): ProofKey | string {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return 'jwk is not an object';
  const members = jwk as Readonly<Record<string, unknown>>;
  // RFC 9864 gave EdDSA another name; the key set's package goes by the old one.
  const imported = importPublicJwk(members, [algorithm === 'Ed25519' ? 'EdDSA' : algorithm]);
  if ('refused' in imported) return `jwk is ${imported.refused}`;
  const { key } = imported;
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) > maxRsaBits) return 'jwk is too large';
  return { key, thumbprint: thumbprintOf(members) };
}

export function isProofAlgorithm(name: unknown): name is ProofAlgorithm {
  return (proofAlgorithms as readonly unknown[]).includes(name);
}

/** @param jwk A key that was imported, so that its members are canonical base64url and need no escapes. */
function thumbprintOf({ kty, crv, x, y, n, e }: Readonly<Record<string, unknown>>): string {
  // The members that make the key, in the order of their names (RFC 7638 section 3.2, RFC 8037 section 2).
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'OKP' ? { crv, kty, x } : { crv, kty, x, y };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}
