import {
  type KeySet,
  type KeySetEvent,
  type KeySetStats,
  KeySetUnavailable,
  remoteKeySet,
  staticKeySet,
} from '@countersign/jwks';
import { assertStrongSecret, secretKeyid, type VerifyingKey } from './keys.ts';
import { IdentityUnavailable } from './refusal.ts';

/** Where a service finds the key that a signature names. Pinned by the service: nothing in a request chooses it. */
export interface GatewayKeys {
  /** @throws IdentityUnavailable when no keys are known yet, or not any more. */
  lookup(keyid: string): VerifyingKey | undefined | Promise<VerifyingKey | undefined>;
}

export type GatewayKeysOptions = Readonly<{
  /** The gateway's key set: `/.well-known/jwks.json` on its internal or admin listener. Who answers there is trusted. */
  url: string;
  /** How long keys outlive their last confirmation. Default 1 h. */
  maxStaleMs?: number;
  cacheMaxAgeMs?: number;
  cooldownMs?: number;
  onEvent?: (event: KeySetEvent) => void;
}>;

export type RemoteGatewayKeys = GatewayKeys &
  Readonly<{
    start(): void;
    stop(): void;
    /** Keys are held: part of a service's readiness. */
    readonly ready: boolean;
    readonly stats: KeySetStats;
  }>;

/** The gateway's public keys, fetched from its key set and kept fresh. Call `start` once. */
export function gatewayKeys(options: GatewayKeysOptions): RemoteGatewayKeys {
  const set = remoteKeySet({ maxStaleMs: 3_600_000, ...options, algorithms: ['EdDSA'] });
  return {
    lookup: (keyid) => lookupIn(set, keyid),
    start: () => set.start(),
    stop: () => set.stop(),
    get ready() {
      return set.ready;
    },
    get stats() {
      return set.stats;
    },
  };
}

/** The gateway's public keys as a key set in hand, e.g. from a file. */
export function staticGatewayKeys(jwks: { keys: readonly unknown[] }): GatewayKeys {
  const set = staticKeySet(jwks, { algorithms: ['EdDSA'] });
  return { lookup: (keyid) => lookupIn(set, keyid) };
}

/** The keyid is {@link secretKeyid} unless the gateway is told otherwise. */
export type SharedSecret = Readonly<{ secret: Uint8Array; keyid?: string }>;

/**
 * Secrets that the gateway shares with this one service: the current one and, while rotating, the next.
 *
 * @throws RangeError on a secret under 32 bytes, no secret, or one keyid used twice.
 */
export function secretGatewayKeys(secrets: readonly SharedSecret[]): GatewayKeys {
  const keys = new Map<string, VerifyingKey>();
  for (const { secret, keyid = secretKeyid(secret) } of secrets) {
    assertStrongSecret(secret);
    keys.set(keyid, { algorithm: 'hmac-sha256', secret });
  }
  if (keys.size === 0 || keys.size !== secrets.length) throw new RangeError('every secret needs a keyid of its own');
  return { lookup: (keyid) => keys.get(keyid) };
}

function lookupIn(set: KeySet, keyid: string): VerifyingKey | undefined | Promise<VerifyingKey | undefined> {
  const publicKey = set.find(keyid, 'EdDSA');
  return publicKey === undefined ? waitFor(set, keyid) : { algorithm: 'ed25519', publicKey };
}

async function waitFor(set: KeySet, keyid: string): Promise<VerifyingKey | undefined> {
  try {
    const publicKey = await set.lookup(keyid, 'EdDSA');
    return publicKey && { algorithm: 'ed25519', publicKey };
  } catch (cause) {
    if (cause instanceof KeySetUnavailable) throw new IdentityUnavailable('no gateway keys', { cause });
    throw cause;
  }
}
