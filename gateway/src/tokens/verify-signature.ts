import type { KeyObject } from 'node:crypto';
import { type KeySet, KeySetUnavailable } from '@countersign/jwks';
import { compactVerify } from 'jose';

/** The key that verified a signature, and the generation of the key set that held it. */
export type VerifiedSignature = Readonly<{ key: KeyObject; generation: number }>;

/** RFC 9864 renames EdDSA to Ed25519. The configuration uses the old name. */
export const keyAlgorithmOf = (named: string): string => (named === 'Ed25519' ? 'EdDSA' : named);

/**
 * Verifies the signature of a token with a held key. If it does not match, the issuer may have replaced the key and kept its
 * `kid`, so the key is looked up again. The key set limits the fetches, as for an unknown `kid`.
 *
 * @param named The `alg` of the token, which its issuer may use.
 * @returns Undefined if the signature is invalid.
 */
export async function verifySignature(
  token: string,
  keys: KeySet,
  kid: string,
  named: string,
): Promise<VerifiedSignature | undefined> {
  const algorithm = keyAlgorithmOf(named);
  // Read the generation together with the key: a later change of the key set makes the cached result void.
  const held = () => ({ key: keys.find(kid, algorithm), generation: keys.generation });
  const { key, generation } = held();
  if (key === undefined) return undefined;
  if (await isSigned(token, key, named)) return { key, generation };
  try {
    await keys.lookup(kid, algorithm, key);
  } catch (error) {
    // The held key does not match, so the token is at fault as far as the gateway can tell.
    if (!(error instanceof KeySetUnavailable)) throw error;
  }
  const { key: replaced, generation: later } = held();
  if (replaced === undefined || replaced.equals(key) || !(await isSigned(token, replaced, named))) return undefined;
  return { key: replaced, generation: later };
}

async function isSigned(token: string, key: KeyObject, named: string): Promise<boolean> {
  try {
    await compactVerify(token, key, { algorithms: [named] });
    return true;
  } catch {
    // Any error of jose is the token's fault, including an ECDSA signature in DER or with r = s = 0.
    return false;
  }
}
