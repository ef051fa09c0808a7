import type { SigningKey } from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { GatewayKeySet } from '../keys/gateway-keys.ts';
import { secretKeyid } from '../keys/secret-keyid.ts';

/** @returns What signs towards this upstream now. Throws AppError `unavailable` when no key may: nothing goes out unsigned. */
export function createSigningKeys(keys: GatewayKeySet): (upstream: Upstream, nowSec: number) => SigningKey {
  const bySecret = new Map<string, SigningKey>();
  let current: SigningKey | undefined;
  let currentSec = -1;

  function ed25519(nowSec: number): SigningKey {
    if (current !== undefined && currentSec === nowSec) return current;
    try {
      const { keyid, privateKey } = keys.signingKey(nowSec);
      current = { algorithm: 'ed25519', keyid, privateKey };
    } catch (cause) {
      throw new AppError('unavailable', { cause, detail: { reason: 'no gateway key may sign now' } });
    }
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
