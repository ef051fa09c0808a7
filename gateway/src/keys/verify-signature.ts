import type { KeyObject } from 'node:crypto';
import { type KeySet, KeySetUnavailable, keyAlgorithmOf } from '@countersign/jwks';
import { compactVerify } from 'jose';
import { AppError } from '../errors.ts';

/**
 * Verifies the signature of a token with the keys of its issuer. An unknown key may be new, so it is looked up. If a
 * known key does not match, the issuer may have replaced it and kept its `kid`, so it is looked up again. The key set
 * limits both kinds of fetches, see `cooldownMs`.
 *
 * @param header Has the `alg` of the token, which its issuer may use.
 * @returns The key that verified it, and the generation of the key set with that key.
 * @throws AppError `token_key_unknown`, `token_signature_invalid`; `issuer_keys_unavailable` if it is unknown whether
 *   the key exists, because the key set cannot be fetched.
 */
export async function verifySignature(
  token: string,
  { alg, kid }: Readonly<{ alg: string; kid: string }>,
  keys: KeySet,
  issuer: string,
): Promise<Readonly<{ key: KeyObject; generation: number }>> {
  const algorithm = keyAlgorithmOf(alg);
  const detail = { kid, issuer };
  if (!keys.ready || keys.find(kid, algorithm) === undefined) {
    try {
      await keys.lookup(kid, algorithm);
    } catch (cause) {
      if (!(cause instanceof KeySetUnavailable)) throw cause;
      throw new AppError('issuer_keys_unavailable', { cause, detail: { issuer } });
    }
  }
  // Read the generation together with the key: a later change of the key set makes the cached result void.
  const held = () => ({ key: keys.find(kid, algorithm), generation: keys.generation });
  const { key, generation } = held();
  if (key === undefined) throw new AppError('token_key_unknown', { detail });
  if (await isSigned(token, key, alg)) return { key, generation };
  try {
    await keys.lookup(kid, algorithm, key);
  } catch (error) {
    // The known key does not match, so as far as the gateway can tell, the token is at fault.
    if (!(error instanceof KeySetUnavailable)) throw error;
  }
  const { key: replaced, generation: later } = held();
  if (replaced !== undefined && !replaced.equals(key) && (await isSigned(token, replaced, alg))) {
    return { key: replaced, generation: later };
  }
  const reason = 'the token was changed or forged, or the key was replaced under the same kid';
  throw new AppError('token_signature_invalid', { detail: { ...detail, reason } });
}

async function isSigned(token: string, key: KeyObject, alg: string): Promise<boolean> {
  try {
    await compactVerify(token, key, { algorithms: [alg] });
    return true;
  } catch {
    // Every error of jose is the token's fault, including an ECDSA signature in DER or with r = s = 0.
    return false;
  }
}
