import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { type AgreementPublicKey, agreeAsGateway, type SigningKey, secretKeyid } from '@countersign/identity';
import { StartupError } from '@countersign/process-kit';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { CurrentGatewayKeys, GatewayKeySet } from './key-directory.ts';
import type { GatewayKey } from './key-files.ts';

/** Returns the key to sign a request with, and counts it. */
export type KeyFor = (upstream: Upstream, nowSec: number, repeat: Repeat) => SigningKey;

/** Picks the shared secret, the agreed key, or the current ed25519 key. Throws `unavailable` if no key may sign. */
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
    const { kid: keyid, privateKey } = requireSigningKey(keys, nowSec);
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

/** @throws AppError `unavailable` if no key may sign now. Requests are never forwarded unsigned. */
export function requireSigningKey(keys: Pick<GatewayKeySet, 'signingKey'>, nowSec: number): GatewayKey {
  try {
    return keys.signingKey(nowSec);
  } catch (cause) {
    throw new AppError('unavailable', { cause, detail: { reason: 'no gateway key is currently valid for signing' } });
  }
}

/** Says that `algorithm: agreed` has no effect, because the gateway has no X25519 key. */
export function missingAgreementKey(
  { identity, upstreams }: Pick<GatewayConfig, 'identity' | 'upstreams'>,
  keys: readonly unknown[],
): string | undefined {
  const names = [...upstreams.values()].filter((one) => one.identity.algorithm === 'agreed').map(({ name }) => name);
  if (names.length === 0 || keys.length > 0) return undefined;
  const { keysDir } = identity;
  return `${keysDir} holds no X25519 key, so requests to ${names.join(', ')} are signed with ed25519. To create one, run countersign keys create --dir ${keysDir}`;
}

/** @throws StartupError if some upstream receives identity tokens, but no key may sign them. */
export function requireTokenKey(
  { identity, upstreams }: Pick<GatewayConfig, 'identity' | 'upstreams'>,
  keys: Pick<CurrentGatewayKeys, 'tokenKey' | 'reload'>,
  nowSec: number,
): void {
  const names = [...upstreams.values()]
    .filter(({ identity: { token } }) => token !== undefined)
    .map(({ name }) => name);
  if (names.length === 0 || keys.tokenKey(nowSec) !== undefined) return;
  // It may have been created just before this configuration.
  keys.reload();
  if (keys.tokenKey(nowSec) !== undefined) return;
  const { keysDir } = identity;
  throw new StartupError(
    `${keysDir}: no ES256 key may sign the identity tokens for ${names.join(', ')}. To create one, run countersign keys create --algorithm ES256 --dir ${keysDir}`,
  );
}

export const noSignatures = () => ({
  algorithms: { ed25519: 0, 'hmac-sha256': 0, agreed: 0 },
  /** Counts why requests to an upstream with `algorithm: agreed` were signed with ed25519. */
  fallbacks: {
    /** A target's key set was never fetched, or was not confirmed for an hour. */
    keys_unknown: 0,
    /** The targets publish no key in common. */
    no_common_key: 0,
    /** The service refused an agreed key within the last 30 s. */
    key_unknown: 0,
    /** Instances behind one address publish different keys. */
    instances_differ: 0,
    /** The gateway has no usable X25519 key. */
    no_gateway_key: 0,
    /** A streamed body or an upgrade cannot be repeated if the service does not know the key. */
    not_repeatable: 0,
  },
  /** Identity tokens, beside or instead of signatures. `reused` counts the requests that got an earlier token. */
  tokens: { bound: 0, unbound: 0, reused: 0, claimsLeftOut: 0 },
});

export type SignatureCounts = ReturnType<typeof noSignatures>;
export type FallbackReason = keyof SignatureCounts['fallbacks'];

export type Repeat = 'repeatable' | 'once';

type SignedUpstream = Readonly<{
  signatures: SignatureCounts;
  /** The service's side of the key agreement. Undefined unless the upstream has `algorithm: agreed`. */
  agreement: Readonly<{ serviceKey(): AgreementPublicKey | FallbackReason }> | undefined;
}>;

/** Derives each key pair's secret once per fetched key set. Returns a reason if there is no agreed key. */
function createAgreedKeys(
  keys: Pick<GatewayKeySet, 'agreementKey'>,
): (upstream: SignedUpstream, audience: string, nowSec: number) => SigningKey | FallbackReason {
  const byService = new WeakMap<AgreementPublicKey, Map<string, SigningKey>>();

  return ({ agreement }, audience, nowSec) => {
    const service = agreement?.serviceKey() ?? 'keys_unknown';
    if (typeof service === 'string') return service;
    const gateway = keys.agreementKey(nowSec);
    if (gateway === undefined) return 'no_gateway_key';
    let derived = byService.get(service);
    if (derived === undefined) {
      derived = new Map();
      byService.set(service, derived);
    }
    let key = derived.get(gateway.kid);
    if (key === undefined) {
      key = { algorithm: 'hmac-sha256', ...agreeAsGateway(gateway, { audience, key: service }) };
      derived.set(gateway.kid, key);
    }
    return key;
  };
}

/** Derives a MAC key from a private key (RFC 5869), once per key. Only gateway replicas share it. */
export function macKeysFor(label: string): (key: GatewayKey) => KeyObject {
  const macs = new WeakMap<GatewayKey, KeyObject>();
  return (key) => {
    let mac = macs.get(key);
    if (mac === undefined) {
      const { d = '' } = key.privateKey.export({ format: 'jwk' });
      mac = createSecretKey(Buffer.from(hkdfSync('sha256', Buffer.from(d, 'base64url'), '', label, 32)));
      macs.set(key, mac);
    }
    return mac;
  };
}
