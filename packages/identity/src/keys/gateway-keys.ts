import type { KeyObject } from 'node:crypto';
import {
  type ImportedJwk,
  importPublicJwk,
  type KeySet,
  type KeySetEvent,
  type KeySetStats,
  KeySetUnavailable,
  remoteKeySet,
  staticKeySet,
} from '@countersign/jwks';
import { IdentityUnavailable } from '../contract/refusal.ts';
import { assertStrongSecret, secretKeyid, type VerifyingKey } from '../contract/rfc9421.ts';
import { parseAgreedKeyid } from './agreement.ts';
import { type AgreementPublicKey, agreementAlgorithm, importAgreementJwk, isAgreementJwk } from './agreement-jwk.ts';
import { isPublishedKey, isPublishedSecret } from './published-keys.ts';

/** Looks up the key that a signature names. The service configures the source; a request cannot influence it. */
export interface GatewayKeys {
  /**
   * @returns undefined for an unknown keyid.
   * @throws IdentityUnavailable when no keys are known, or when this key is unknown and the last fetch failed.
   */
  lookup(keyid: string): VerifyingKey | undefined | Promise<VerifyingKey | undefined>;
  /**
   * Looks up the gateway's public key for key agreement. A source without this function has none.
   *
   * @returns undefined for an unknown kid. The gateway then signs with ed25519.
   * @throws IdentityUnavailable when no keys are known.
   */
  lookupAgreementKey?(kid: string): AgreementKeyOrNone | Promise<AgreementKeyOrNone>;
  /** Like `lookup`, for the ES256 keys of identity tokens. A source for another algorithm has none. */
  lookupTokenKey?(kid: string): KeyObject | undefined | Promise<KeyObject | undefined>;
}

type AgreementKeyOrNone = AgreementPublicKey | undefined;

export type GatewayKeysOptions = Readonly<{
  /** The gateway's key set, on its internal or admin listener. The service trusts every key there. */
  url: string;
  /** The algorithm of the only keys to use: `ES256` for `/.well-known/identity-token-jwks.json`. Default: `EdDSA`. */
  algorithm?: 'EdDSA' | 'ES256';
  /**
   * Whether `url` may be plain http to another machine. An attacker on the network could replace the keys and forge
   * any identity. Default: no. Such a URL is then a Node.js warning, and an error where NODE_ENV is production.
   */
  insecureTransport?: boolean;
  /** How long keys stay usable after the last successful fetch, in milliseconds. Default: 1 hour. */
  maxStaleMs?: number;
  cacheMaxAgeMs?: number;
  cooldownMs?: number;
  onEvent?: (event: KeySetEvent) => void;
  /**
   * Called once when the service starts to answer 503 because it has no usable keys, and once when it has keys again.
   * Default: a Node.js warning (`process.emitWarning`) with the URL and the reason.
   */
  onStateChange?: (state: 'available' | 'unavailable', why: KeysOutage | undefined) => void;
}>;

/** Why the keys could not be fetched. It never contains key material. */
export type KeysOutage = Readonly<{
  url: string;
  /** The reason of the last failed attempt, for example `network`, `status` or `timeout`. */
  reason: string;
  /** The system's error code or the HTTP status, if there is one: `ECONNREFUSED`, `status 404`. */
  detail: string | undefined;
}>;

export type RemoteGatewayKeys = GatewayKeys &
  Readonly<{
    /** Starts fetching. Resolves after the first attempt, whether it succeeded or failed. Never rejects. */
    start(): Promise<void>;
    stop(): void;
    /** Whether usable keys are held. Include it in the service's readiness check. */
    readonly ready: boolean;
    readonly stats: KeySetStats;
  }>;

/**
 * Fetches the gateway's public keys from its key set and keeps them fresh. Call `start` once.
 *
 * @throws RangeError when `url` is not an http or https URL, or contains credentials. Where NODE_ENV is production,
 *   also when it is plain http to another machine, unless `insecureTransport` is set.
 */
export function gatewayKeys(options: GatewayKeysOptions): RemoteGatewayKeys {
  const { url, algorithm, insecureTransport = false, onEvent, onStateChange = warn } = options;
  const attempted = Promise.withResolvers<void>();
  let isAvailable = true;
  let last: KeysOutage = { url, reason: 'not fetched yet', detail: undefined };
  const set = remoteKeySet({ maxStaleMs: 3_600_000, ...options, ...importsOf(algorithm), onEvent: handleEvent });
  if (!insecureTransport && isPlainHttp(url)) refusePlainHttp(url);

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
    ...lookupsIn(set, noteOutage),
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

function isPlainHttp(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !/^(?:(?:.+\.)?localhost\.?|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}

function refusePlainHttp(url: string): void {
  const problem =
    `the gateway's keys come by plain http from another machine (${url}), so an attacker on the network can forge any ` +
    'identity: use https, or set insecureTransport: true where the network is trusted';
  if (process.env.NODE_ENV === 'production') throw new RangeError(problem);
  process.emitWarning(problem, { code: 'COUNTERSIGN_INSECURE_TRANSPORT' });
}

function warn(_state: 'available' | 'unavailable', why: KeysOutage | undefined): void {
  if (why === undefined) return;
  const { url, reason, detail } = why;
  const cause = detail === undefined ? reason : `${reason}, ${detail}`;
  process.emitWarning(`requests are refused with 503: the gateway's keys cannot be fetched from ${url} (${cause})`, {
    code: 'COUNTERSIGN_KEYS_UNAVAILABLE',
  });
}

/** Uses a key set that the service already has, for example from a file. */
export function staticGatewayKeys(
  jwks: { keys: readonly unknown[] },
  { algorithm }: Pick<GatewayKeysOptions, 'algorithm'> = {},
): GatewayKeys {
  return lookupsIn(staticKeySet(jwks, importsOf(algorithm)));
}

/** The gateway's key set contains signing keys and key-agreement keys. */
const importsOf = (algorithm: 'EdDSA' | 'ES256' = 'EdDSA') => ({
  algorithms: [algorithm],
  importJwk(jwk: Readonly<Record<string, unknown>>, algorithms: readonly string[]): ImportedJwk {
    // A keyid of this form always means an agreed key.
    if (typeof jwk.kid === 'string' && parseAgreedKeyid(jwk.kid) !== undefined) return { refused: 'malformed' };
    if (isPublishedKey(jwk)) return { refused: 'private' };
    const isAgreement = algorithm === 'EdDSA' && isAgreementJwk(jwk);
    return isAgreement ? importAgreementJwk(jwk) : importPublicJwk(jwk, algorithms);
  },
});

/** A secret and its keyid. The default keyid is {@link secretKeyid}, which the gateway uses too. */
export type SharedSecret = Readonly<{ secret: Uint8Array; keyid?: string }>;

/**
 * Uses the secrets that the gateway shares with this service: the current one and, during a rotation, the next.
 *
 * @throws RangeError on a secret under 32 bytes, a published secret, an empty list, a repeated keyid, or a keyid of an
 *   agreed key.
 */
export function secretGatewayKeys(secrets: readonly SharedSecret[]): GatewayKeys {
  const keys = new Map<string, VerifyingKey>();
  for (const { secret, keyid = secretKeyid(secret) } of secrets) {
    assertStrongSecret(secret);
    if (parseAgreedKeyid(keyid) !== undefined) throw new RangeError('keyids of this form are reserved for agreed keys');
    if (isPublishedSecret(secret) || isPublishedKey({ kid: keyid })) throw new RangeError('this secret is published');
    keys.set(keyid, { algorithm: 'hmac-sha256', secret });
  }
  if (keys.size === 0 || keys.size !== secrets.length) throw new RangeError('every secret needs a unique keyid');
  return { lookup: (keyid) => keys.get(keyid) };
}

function lookupsIn(set: KeySet, noteOutage = () => {}): GatewayKeys {
  /** @throws IdentityUnavailable, unless the error does not mean that keys are missing. */
  async function fetchKey<T>(kid: string, alg: string, use: (key: KeyObject) => T): Promise<T | undefined> {
    try {
      const key = await set.lookup(kid, alg);
      return key && use(key);
    } catch (cause) {
      if (!(cause instanceof KeySetUnavailable)) throw cause;
      // The gateway's ed25519 keys are known, and the gateway uses them if its key for agreement is refused.
      if (alg === agreementAlgorithm && set.ready) return undefined;
      noteOutage();
      throw new IdentityUnavailable('no gateway keys are available', { cause, reason: 'keys_unavailable' });
    }
  }

  function lookup<T>(kid: string, alg: string, use: (key: KeyObject) => T): T | Promise<T | undefined> {
    const known = set.find(kid, alg);
    return known === undefined ? fetchKey(kid, alg, use) : use(known);
  }

  return {
    lookup: (keyid) => lookup(keyid, 'EdDSA', (publicKey): VerifyingKey => ({ algorithm: 'ed25519', publicKey })),
    lookupAgreementKey: (kid) => lookup(kid, agreementAlgorithm, (publicKey) => ({ kid, publicKey })),
    lookupTokenKey: (kid) => lookup(kid, 'ES256', (publicKey) => publicKey),
  };
}
