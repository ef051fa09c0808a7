import type { KeyObject } from 'node:crypto';
import { exactSignature, type KeySet, KeySetUnavailable, keyAlgorithmOf } from '@countersign/jwks';
import { compactVerify, errors } from 'jose';
import { AppError } from '../errors.ts';

/**
 * Verifies a token's signature with its issuer's keys. An unknown key may be new, so it is looked up. If a known key
 * does not match, the issuer may have replaced the key under the same `kid`, so it is looked up again. The key set
 * limits how often both cases fetch: see `cooldownMs`.
 *
 * @param header Contains the token's `alg`, which its issuer may use.
 * @param inTurn Runs each lookup. Default: immediately.
 * @returns The key that verified the token, and the generation of the key set that contains it.
 * @throws AppError `token_key_unknown`, `token_signature_invalid`. `issuer_keys_unavailable` if the key set cannot be
 *   fetched, so that it is unknown whether the key exists.
 */
export async function verifySignature(
  token: string,
  { alg, kid }: Readonly<{ alg: string; kid: string }>,
  keys: KeySet,
  issuer: string,
  inTurn: <T>(lookup: () => Promise<T>) => Promise<T> = (lookup) => lookup(),
): Promise<Readonly<{ key: KeyObject; generation: number }>> {
  const algorithm = keyAlgorithmOf(alg);
  const detail = { kid, issuer };
  if (!keys.ready || keys.find(kid, algorithm) === undefined) {
    try {
      await inTurn(() => keys.lookup(kid, algorithm));
    } catch (cause) {
      if (!(cause instanceof KeySetUnavailable)) throw cause;
      throw new AppError('issuer_keys_unavailable', { cause, detail: { issuer } });
    }
  }
  // Reads the generation together with the key, because a later change to the key set invalidates the cached result.
  const held = () => ({ key: keys.find(kid, algorithm), generation: keys.generation });
  const { key, generation } = held();
  if (key === undefined) throw new AppError('token_key_unknown', { detail });
  if (await isSigned(token, key, alg)) return { key, generation };
  try {
    await inTurn(() => keys.lookup(kid, algorithm, key));
  } catch (error) {
    // The known key does not match, so the gateway must assume that the token is at fault.
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
  // jose accepts an RSA-PSS signature without its leading zero bytes.
  if (exactSignature(token, key, alg) === undefined) return false;
  try {
    await compactVerify(token, key, { algorithms: [alg] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}
