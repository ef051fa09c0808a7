import { type SigningKey, secretKeyid } from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { createAgreedKeys, type Repeat, type SignedUpstream } from './agreed-keys.ts';
import type { GatewayKey, GatewayKeySet } from './gateway-keys.ts';

/** Returns the key to sign a request with, and counts it. */
export type KeyFor = (upstream: Upstream, nowSec: number, repeat: Repeat) => SigningKey;

/**
 * Creates a function that returns the key to sign with for an upstream: its shared secret, the key on which both sides agree, or
 * the gateway's current ed25519 key.
 *
 * The returned function throws AppError `unavailable` when no key may sign.
 *
 * @param openedOf The upstream at run time.
 */
export function createSigningKeys(
  keys: Pick<GatewayKeySet, 'signingKey' | 'agreementKey'>,
  openedOf: (upstream: Upstream) => SignedUpstream,
): KeyFor {
  const bySecret = new Map<string, SigningKey>();
  const agreedKey = createAgreedKeys(keys);
  let current: SigningKey | undefined;
  let currentSec = -1;

  function ed25519({ signatures }: SignedUpstream, nowSec: number): SigningKey {
    signatures.algorithms.ed25519 += 1;
    if (current !== undefined && currentSec === nowSec) return current;
    const { keyid, privateKey } = requireSigningKey(keys, nowSec);
    current = { algorithm: 'ed25519', keyid, privateKey };
    currentSec = nowSec;
    return current;
  }

  function shared(name: string, secret: Uint8Array): SigningKey {
    let key = bySecret.get(name);
    if (key === undefined) {
      key = { algorithm: 'hmac-sha256', keyid: secretKeyid(secret), secret };
      bySecret.set(name, key);
    }
    return key;
  }

  return (upstream, nowSec, repeat) => {
    const { name, identity } = upstream;
    const opened = openedOf(upstream);
    switch (identity.algorithm) {
      case 'ed25519':
        return ed25519(opened, nowSec);
      case 'hmac-sha256':
        opened.signatures.algorithms['hmac-sha256'] += 1;
        return shared(name, identity.secret);
      case 'agreed': {
        const agreed = repeat === 'once' ? 'not_repeatable' : agreedKey(opened, name, nowSec);
        if (typeof agreed === 'string') {
          opened.signatures.fallbacks[agreed] += 1;
          return ed25519(opened, nowSec);
        }
        opened.signatures.algorithms.agreed += 1;
        return agreed;
      }
    }
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
