import type { AgreementJwk, AgreementKeyPair } from '@countersign/identity';
import { createReloader, type Logger, type Reloading, StartupError } from '@countersign/service-kit';
import {
  type GatewayAgreementKey,
  type GatewayKey,
  type KeyFileAccess,
  type ManagedKey,
  type PublicJwk,
  readAgreementKeys,
  readKeys,
  remedyFor,
} from './key-files.ts';

type KeyFiles = Readonly<{
  /** Sorted by `nbf`, newest last. */
  keys: readonly GatewayKey[];
  /** X25519 keys for key agreement with services, sorted by `nbf`, newest last. May be empty. */
  agreementKeys: readonly GatewayAgreementKey[];
}>;

/** The keys in a directory. The current time decides which of them signs. */
export type GatewayKeySet = Readonly<ReturnType<typeof keySetOf>>;

/** The keys in the directory, reloaded while the gateway runs. */
export type CurrentGatewayKeys = GatewayKeySet & Reloading;

/** The clock tolerance of verifiers. A key stays published this long after it expires. */
const toleranceSec = 5;

/**
 * Reads the directory `identity.keys`. One invalid file makes the whole directory invalid. An operator must fix it
 * before the gateway signs with the other keys.
 *
 * @param nowSec Unix seconds. At least one key must be able to sign at this time.
 * @throws StartupError, see {@link readKeys}.
 */
export function loadGatewayKeys(directory: string, nowSec: number, access: KeyFileAccess = 'owner'): GatewayKeySet {
  const files = { keys: readKeys(directory, access), agreementKeys: readAgreementKeys(directory, access) };
  const set = keySetOf(directory, () => files);
  set.signingKey(nowSec);
  return set;
}

/**
 * How long the gateway publishes a new key before it signs with it, if the key appears at run time. A service that
 * sees an unknown key asks any worker or gateway for it. If that one does not have the key yet, the service does not
 * ask again for 30 s. Each gateway reads the directory every 5 s.
 */
const publishFirstSec = 10;

/**
 * Reads and reloads the gateway's keys. The files and the current time decide which key signs, so replicas that share
 * the directory agree: each publishes a new key within seconds, and signs with it from its `nbf` on, but never within
 * the first seconds. The key in use signs until then, even if its file is gone.
 *
 * @throws StartupError if a file cannot be read.
 */
export function openGatewayKeys(
  directory: string,
  nowSec: () => number,
  logger: Logger,
  access: KeyFileAccess = 'owner',
): CurrentGatewayKeys {
  const usableFromSec = new Map<string, number>();
  let before: KeyFiles | undefined;

  function publishFirst<Key extends ManagedKey>(key: Key): Key {
    const fromSec = usableFromSec.get(key.kid) ?? (before === undefined ? 0 : nowSec() + publishFirstSec);
    usableFromSec.set(key.kid, fromSec);
    return { ...key, notBeforeSec: Math.max(key.notBeforeSec, fromSec) };
  }

  function load(): KeyFiles {
    const now = nowSec();
    const files = loadGatewayKeys(directory, now, access);
    const keys = files.keys.map(publishFirst);
    const agreementKeys = files.agreementKeys.map(publishFirst).sort(byStart);
    const inUse = keyInUse(before?.keys ?? [], now);
    const isReplaced = inUse !== undefined && keyInUse(keys, now) === undefined;
    const all = (isReplaced ? [inUse, ...keys] : keys).sort(byStart);
    before = keyInUse(all, now) === undefined ? files : { keys: all, agreementKeys };
    return before;
  }

  const { current, ...reloading } = createReloader({
    what: 'gateway keys',
    load,
    fingerprint: ({ keys, agreementKeys }) =>
      JSON.stringify([...keys, ...agreementKeys].map((key) => [key.kid, key.notBeforeSec, key.expiresSec])),
    logger,
  });
  return Object.assign(keySetOf(directory, current), reloading);
}

const byStart = (a: ManagedKey, b: ManagedKey) => a.notBeforeSec - b.notBeforeSec;

type Period = Pick<ManagedKey, 'notBeforeSec' | 'expiresSec'>;

export const isActive = (key: Period, nowSec: number): boolean =>
  key.notBeforeSec <= nowSec && (key.expiresSec === undefined || nowSec < key.expiresSec);

/** @param keys All keys of one kind, newest last. */
export const keyInUse = <Key extends Period>(keys: readonly Key[], nowSec: number): Key | undefined =>
  keys.findLast((key) => isActive(key, nowSec));

const isPublished = (key: Period, nowSec: number): boolean =>
  key.expiresSec === undefined || nowSec < key.expiresSec + toleranceSec;

function keySetOf(directory: string, current: () => KeyFiles) {
  return {
    get keys() {
      return current().keys;
    },
    get agreementKeys() {
      return current().agreementKeys;
    },
    /** Returns the newest X25519 key that is currently valid. */
    agreementKey: (nowSec: number): AgreementKeyPair | undefined => keyInUse(current().agreementKeys, nowSec),
    /**
     * Returns the newest key that may sign now.
     *
     * @throws StartupError if there is none. Requests are never forwarded unsigned.
     */
    signingKey(nowSec: number): GatewayKey {
      const key = keyInUse(current().keys, nowSec);
      if (key === undefined)
        throw new StartupError(`${directory}: no key is currently valid for signing. ${remedyFor(directory)}`);
      return key;
    },
    /**
     * Finds a key that has not expired, or that expired within the tolerance, when services still accept its
     * signatures.
     */
    find: (kid: string, nowSec: number): GatewayKey | undefined =>
      current().keys.find((key) => key.kid === kid && isPublished(key, nowSec)),
    /** Returns all keys that have not expired, including future ones, because a key is published before it signs. */
    publicJwks(nowSec: number): Readonly<{ keys: readonly (PublicJwk | AgreementJwk)[] }> {
      const { keys, agreementKeys } = current();
      const published = [...keys, ...agreementKeys].filter((key) => isPublished(key, nowSec));
      return { keys: published.map(({ publicJwk }) => publicJwk) };
    },
  };
}
