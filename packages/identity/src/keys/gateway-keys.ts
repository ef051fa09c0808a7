import {
  type KeySet,
  type KeySetEvent,
  type KeySetStats,
  KeySetUnavailable,
  remoteKeySet,
  staticKeySet,
} from '@countersign/jwks';
import { IdentityUnavailable } from '../contract/refusal.ts';
import { assertStrongSecret, secretKeyid, type VerifyingKey } from './keys.ts';

/** Where a service finds the key that a signature names. Pinned by the service: nothing in a request chooses it. */
export interface GatewayKeys {
  /** @throws IdentityUnavailable when no keys are known, or this one is not and the last fetch failed. */
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
  /**
   * Called once when requests are refused with 503 because no usable keys are held, and once when keys are there again.
   * Default: a Node.js warning (`process.emitWarning`) with the URL and the reason.
   */
  onStateChange?: (state: 'available' | 'unavailable', why: KeysOutage | undefined) => void;
}>;

/** Why the keys could not be fetched. Never has key material. */
export type KeysOutage = Readonly<{
  url: string;
  /** Of the last attempt, e.g. `network`, `status` or `timeout`. */
  reason: string;
  /** The system's code or the status, where there is one: `ECONNREFUSED`, `status 404`. */
  detail: string | undefined;
}>;

export type RemoteGatewayKeys = GatewayKeys &
  Readonly<{
    /** Settles when the first attempt to fetch the keys has ended, well or not; need not be waited for. Never rejects. */
    start(): Promise<void>;
    stop(): void;
    /** Keys are held: part of a service's readiness. */
    readonly ready: boolean;
    readonly stats: KeySetStats;
  }>;

/**
 * The gateway's public keys, fetched from its key set and kept fresh. Call `start` once.
 *
 * @throws RangeError when `url` is not an http or https URL, or carries credentials.
 */
export function gatewayKeys(options: GatewayKeysOptions): RemoteGatewayKeys {
  const { url, onEvent, onStateChange = warn } = options;
  const attempted = Promise.withResolvers<void>();
  let isAvailable = true;
  let last: KeysOutage = { url, reason: 'not fetched yet', detail: undefined };
  const set = remoteKeySet({ maxStaleMs: 3_600_000, ...options, algorithms: ['EdDSA'], onEvent: handleEvent });

  function handleEvent(event: KeySetEvent): void {
    if (event.type === 'fetched' && !isAvailable) {
      isAvailable = true;
      onStateChange('available', undefined);
    }
    if (event.type === 'failed') {
      last = { url, reason: event.reason, detail: event.detail };
      if (!set.ready) noteOutage();
    }
    onEvent?.(event);
    if (event.type !== 'key_ignored') attempted.resolve();
  }

  function noteOutage(): void {
    if (!isAvailable) return;
    isAvailable = false;
    onStateChange('unavailable', last);
  }

  return {
    lookup: (keyid) => lookupIn(set, keyid, noteOutage),
    start() {
      set.start();
      return attempted.promise;
    },
    stop() {
      set.stop();
      attempted.resolve();
    },
    get ready() {
      return set.ready;
    },
    get stats() {
      return set.stats;
    },
  };
}

function warn(_state: 'available' | 'unavailable', why: KeysOutage | undefined): void {
  if (why === undefined) return;
  const { url, reason, detail } = why;
  const cause = detail === undefined ? reason : `${reason}, ${detail}`;
  process.emitWarning(`requests are refused with 503: the gateway's keys cannot be fetched from ${url} (${cause})`, {
    code: 'COUNTERSIGN_KEYS_UNAVAILABLE',
  });
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

type KeyOrNone = VerifyingKey | undefined;

function lookupIn(set: KeySet, keyid: string, noteOutage = () => {}): KeyOrNone | Promise<KeyOrNone> {
  const publicKey = set.find(keyid, 'EdDSA');
  return publicKey === undefined ? fetchKey(set, keyid, noteOutage) : { algorithm: 'ed25519', publicKey };
}

async function fetchKey(set: KeySet, keyid: string, noteOutage: () => void): Promise<KeyOrNone> {
  try {
    const publicKey = await set.lookup(keyid, 'EdDSA');
    return publicKey && { algorithm: 'ed25519', publicKey };
  } catch (cause) {
    if (!(cause instanceof KeySetUnavailable)) throw cause;
    noteOutage();
    throw new IdentityUnavailable('no gateway keys', { cause, reason: 'keys_unavailable' });
  }
}
