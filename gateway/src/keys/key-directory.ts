import type { AgreementJwk, AgreementKeyPair } from '@countersign/identity';
import { createReloader, type Logger, type Reloading, StartupError } from '@countersign/process-kit';
import {
  type GatewayAgreementKey,
  type GatewayKey,
  type GatewayTokenKey,
  type KeyFileAccess,
  type ManagedKey,
  type PublicJwk,
  readAgreementKeys,
  readKeys,
  readTokenKeys,
  type TokenPublicJwk,
} from './key-files.ts';

type KeyFiles = Readonly<{
  /** Sorted by `nbf`, newest last. */
  keys: readonly GatewayKey[];
  /** X25519 keys for key agreement with services, sorted by `nbf`, newest last. May be empty. */
  agreementKeys: readonly GatewayAgreementKey[];
  /** ES256 keys for identity tokens, sorted by `nbf`, newest last. May be empty. */
  tokenKeys: readonly GatewayTokenKey[];
}>;

export type GatewayKeySet = Readonly<ReturnType<typeof keySetOf>>;

export type CurrentGatewayKeys = GatewayKeySet & Reloading;

/** The clock tolerance of verifiers. A key stays published this long after it expires. */
const toleranceSec = 5;

/** @throws StartupError if one file is invalid, or no key can sign at `nowSec`: see {@link readKeys}. */
export function loadGatewayKeys(directory: string, nowSec: number, access: KeyFileAccess = 'owner'): GatewayKeySet {
  const files = {
    keys: readKeys(directory, access),
    agreementKeys: readAgreementKeys(directory, access),
    tokenKeys: readTokenKeys(directory, access),
  };
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
    const keys = withInUse(before?.keys, files.keys.map(publishFirst), now);
    const later = withInUse(before?.tokenKeys, files.tokenKeys.map(publishFirst), now);
    // The first key may sign immediately: no service holds a key set without it yet.
    const tokenKeys = keyInUse(later, now) === undefined ? files.tokenKeys : later;
    const agreementKeys = files.agreementKeys.map(publishFirst).sort(byStart);
    before = keyInUse(keys, now) === undefined ? files : { keys, agreementKeys, tokenKeys };
    return before;
  }

  const { current, ...reloading } = createReloader({
    what: 'gateway keys',
    load,
    fingerprint: ({ keys, agreementKeys, tokenKeys }) =>
      JSON.stringify(
        [...keys, ...agreementKeys, ...tokenKeys].map((key) => [key.kid, key.notBeforeSec, key.expiresSec]),
      ),
    logger,
  });
  return Object.assign(keySetOf(directory, current), reloading);
}

/** Keeps the key in use until one of the new keys may sign. */
function withInUse<Key extends ManagedKey>(before: readonly Key[] = [], keys: readonly Key[], nowSec: number): Key[] {
  const inUse = keyInUse(before, nowSec);
  const isReplaced = inUse !== undefined && keyInUse(keys, nowSec) === undefined;
  return [...(isReplaced ? [inUse] : []), ...keys].sort(byStart);
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

/** A key of the future is there already: another one would not help while the clock is behind. */
function adviceOf(directory: string, keys: readonly ManagedKey[], nowSec: number): string {
  const next = keys.find(({ notBeforeSec }) => notBeforeSec > nowSec);
  if (next === undefined) return `All have expired. Run countersign keys rotate --now --dir ${directory}`;
  const [from, now] = [next.notBeforeSec, nowSec].map((sec) => new Date(sec * 1000).toISOString());
  return `${next.kid} is valid from ${from}, and the clock of this machine says ${now}. Correct the clock, or wait`;
}

function keySetOf(directory: string, current: () => KeyFiles) {
  return {
    get keys() {
      return current().keys;
    },
    get agreementKeys() {
      return current().agreementKeys;
    },
    get tokenKeys() {
      return current().tokenKeys;
    },
    agreementKey: (nowSec: number): AgreementKeyPair | undefined => keyInUse(current().agreementKeys, nowSec),
    /** Whether a thumbprint is that of one of these keys. */
    isOwn: (kid: string): boolean => [...current().keys, ...current().tokenKeys].some((key) => key.kid === kid),
    /** Undefined if no key may sign identity tokens now. */
    tokenKey: (nowSec: number): GatewayTokenKey | undefined => keyInUse(current().tokenKeys, nowSec),
    /** @throws StartupError if no key may sign now. Requests are never forwarded unsigned. */
    signingKey(nowSec: number): GatewayKey {
      const key = keyInUse(current().keys, nowSec);
      if (key === undefined)
        throw new StartupError(
          `${directory}: no key is currently valid for signing. ${adviceOf(directory, current().keys, nowSec)}`,
        );
      return key;
    },
    /** Also finds a key that expired within the tolerance: services still accept its signatures. */
    find: (kid: string, nowSec: number): GatewayKey | undefined =>
      current().keys.find((key) => key.kid === kid && isPublished(key, nowSec)),
    /** Returns all keys that have not expired, including future ones, because a key is published before it signs. */
    publicJwks(nowSec: number): Readonly<{ keys: readonly (PublicJwk | AgreementJwk)[] }> {
      const { keys, agreementKeys } = current();
      const published = [...keys, ...agreementKeys].filter((key) => isPublished(key, nowSec));
      return { keys: published.map(({ publicJwk }) => publicJwk) };
    },
    /** Like {@link publicJwks}, for identity tokens. A set of its own: some libraries refuse a set with other keys. */
    tokenJwks: (nowSec: number): Readonly<{ keys: readonly TokenPublicJwk[] }> => ({
      keys: current()
        .tokenKeys.filter((key) => isPublished(key, nowSec))
        .map(({ publicJwk }) => publicJwk),
    }),
  };
}
