import { type SigningKey, secretKeyid } from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { GatewayKey, GatewayKeySet } from './gateway-keys.ts';

/**
 * Creates a function that returns the key to sign with for an upstream: its shared secret, or the gateway's current key.
 *
 * The returned function throws AppError `unavailable` when no key may sign.
 */
export function createSigningKeys(
  keys: Pick<GatewayKeySet, 'signingKey'>,
): (upstream: Upstream, nowSec: number) => SigningKey {
  const bySecret = new Map<string, SigningKey>();
  let current: SigningKey | undefined;
  let currentSec = -1;

  function ed25519(nowSec: number): SigningKey {
    if (current !== undefined && currentSec === nowSec) return current;
    const { keyid, privateKey } = requireSigningKey(keys, nowSec);
    current = { algorithm: 'ed25519', keyid, privateKey };
    currentSec = nowSec;
    return current;
  }

  return ({ name, identity }, nowSec) => {
    if (identity.algorithm === 'ed25519') return ed25519(nowSec);
    let key = bySecret.get(name);
    if (key === undefined) {
      key = { algorithm: 'hmac-sha256', keyid: secretKeyid(identity.secret), secret: identity.secret };
      bySecret.set(name, key);
    }
    return key;
  };
}

/**
 * Returns the key that may sign now.
 *
 * @throws AppError `unavailable` when there is none. Requests are never forwarded unsigned.
 */
export function requireSigningKey(keys: Pick<GatewayKeySet, 'signingKey'>, nowSec: number): GatewayKey {
  try {
    return keys.signingKey(nowSec);
  } catch (cause) {
    throw new AppError('unavailable', { cause, detail: { reason: 'no gateway key may sign now' } });
  }
}
