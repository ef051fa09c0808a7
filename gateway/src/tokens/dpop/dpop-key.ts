import type { KeyObject } from 'node:crypto';
import { importPublicJwk, jwkThumbprint } from '@countersign/jwks';

/** Allowed signature algorithms, also sent as `algs` in a challenge. Asymmetric only (RFC 9449 section 4.3, point 5). */
export const proofAlgorithms = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256'] as const;
type ProofAlgorithm = (typeof proofAlgorithms)[number];

/** A client's key, taken from its own proof. It proves only that two proofs come from the same client. */
export type ProofKey = Readonly<{
  key: KeyObject;
  /** RFC 7638 with SHA-256, 43 characters. Compared with `cnf.jkt`. */
  thumbprint: string;
}>;

// Larger keys cost more to verify, and the client chooses its key.
const maxRsaBits = 4096;

/**
 * Imports the `jwk` of a proof's header. It must be a public key that fits the algorithm, in canonical base64url.
 *
 * @returns The key, or the reason for a refusal as text for the log.
 * @see RFC 9449 section 4.3, points 5 and 7
 */
export function importProofKey(jwk: unknown, algorithm: ProofAlgorithm): ProofKey | string {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return 'jwk is not an object';
  const members = jwk as Readonly<Record<string, unknown>>;
  // RFC 9864 renames EdDSA to Ed25519. `importPublicJwk` uses the old name.
  const imported = importPublicJwk(members, [algorithm === 'Ed25519' ? 'EdDSA' : algorithm]);
  if ('refused' in imported) return `jwk is ${imported.refused}`;
  const { key } = imported;
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) > maxRsaBits) return 'jwk is too large';
  return { key, thumbprint: jwkThumbprint(members) };
}

export function isProofAlgorithm(name: unknown): name is ProofAlgorithm {
  return (proofAlgorithms as readonly unknown[]).includes(name);
}
