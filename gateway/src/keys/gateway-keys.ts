import { existsSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type AgreementJwk, type AgreementKeyPair, publicAgreementJwk } from '@countersign/identity';
import { createFile, type Logger, replaceFile, StartupError } from '@countersign/service-kit';
import { type GatewayAgreementKey, readAgreementKeys } from './agreement-key-files.ts';
import { type PublicJwk, publicJwkOf } from './ed25519-jwk.ts';
import { type GatewayKey, newKeyFile, parseKeyFile, withExpiry } from './key-file.ts';
import { createReloader, type Reloading } from './reloader.ts';
import { codeOf, readSecretFile } from './secret-file.ts';

export type { GatewayKey } from './key-file.ts';

/** The keys of a directory, read once. The time alone decides which of them signs. */
export type GatewayKeySet = Readonly<{
  /** Newest `nbf` last. */
  keys: readonly GatewayKey[];
  /** X25519 keys, on which the gateway and its services agree. Newest `nbf` last; possibly none. */
  agreementKeys: readonly GatewayAgreementKey[];
  /** Returns the newest X25519 key that may be used now. */
  agreementKey(nowSec: number): AgreementKeyPair | undefined;
  /**
   * Returns the newest key that may sign now.
   *
   * @throws StartupError when there is none. Requests are never forwarded unsigned.
   */
  signingKey(nowSec: number): GatewayKey;
  /** Finds a key that has not expired, or expired within the tolerance: its recent signatures are still accepted. */
  find(keyid: string, nowSec: number): GatewayKey | undefined;
  /** All keys that have not expired, future ones included: a key is published before it signs. */
  publicJwks(nowSec: number): Readonly<{ keys: readonly (PublicJwk | AgreementJwk)[] }>;
}>;

/** The keys of the directory, reloaded while the gateway runs. */
export type CurrentGatewayKeys = GatewayKeySet & Reloading;

const suffix = '.jwk.json';

/** The clock tolerance of verifiers. A key stays published this long after its end. */
const toleranceSec = 5;

/**
 * Reads the directory of `identity.keys`. One invalid file refuses the whole directory: an operator must fix it before the
 * gateway signs with the other keys.
 *
 * @param nowSec Unix seconds. At least one key must be able to sign at this time.
 * @throws StartupError when the directory is missing, empty or unreadable, or a file is malformed or readable by others.
 */
export function loadGatewayKeys(directory: string, nowSec: number): GatewayKeySet {
  const set = keySetOf(readKeys(directory), readAgreementKeys(directory), directory);
  set.signingKey(nowSec);
  return set;
}

/**
 * For this long, a key that appears while the gateway runs is published and does not sign. A service that meets an unknown key
 * asks any worker or gateway for it, and after a wrong answer it does not ask again for 30 s. Each of them reads the directory
 * every 5 s.
 */
const publishFirstSec = 10;

/**
 * Reads the gateway's keys and reloads them. The files and the time decide which key signs, so replicas that share the
 * directory agree: each publishes a new key within seconds and signs with it from its `nbf` on, but never in the first
 * seconds. The key in use signs until then, even when its file is gone.
 *
 * @throws StartupError when a file cannot be read.
 */
export function openGatewayKeys(directory: string, nowSec: () => number, logger: Logger): CurrentGatewayKeys {
  const usableFromSec = new Map<string, number>();
  let before: GatewayKeySet | undefined;

  function publishFirst<Key extends Timed>(id: string, key: Key): Key {
    const fromSec = usableFromSec.get(id) ?? (before === undefined ? 0 : nowSec() + publishFirstSec);
    usableFromSec.set(id, fromSec);
    return { ...key, notBeforeSec: Math.max(key.notBeforeSec, fromSec) };
  }

  function load(): GatewayKeySet {
    const now = nowSec();
    const files = loadGatewayKeys(directory, now);
    const keys = files.keys.map((key) => publishFirst(key.keyid, key));
    const agreementKeys = files.agreementKeys.map((key) => publishFirst(key.kid, key));
    const inUse = before?.keys.findLast((key) => isActive(key, now));
    const isReplaced = inUse !== undefined && !keys.some((key) => isActive(key, now));
    const byStart = (a: Timed, b: Timed) => a.notBeforeSec - b.notBeforeSec;
    const all = (isReplaced ? [inUse, ...keys] : keys).sort(byStart);
    before = all.some((key) => isActive(key, now)) ? keySetOf(all, agreementKeys.sort(byStart), directory) : files;
    return before;
  }

  const { current, ...reloading } = createReloader({
    what: 'gateway keys',
    load,
    fingerprint: ({ keys, agreementKeys }) =>
      JSON.stringify([
        keys.map((key) => [key.keyid, key.notBeforeSec, key.expiresSec]),
        agreementKeys.map((key) => [key.kid, key.notBeforeSec, key.expiresSec]),
      ]),
    logger,
  });
  return {
    get keys() {
      return current().keys;
    },
    get agreementKeys() {
      return current().agreementKeys;
    },
    agreementKey: (at) => current().agreementKey(at),
    signingKey: (at) => current().signingKey(at),
    find: (keyid, at) => current().find(keyid, at),
    publicJwks: (at) => current().publicJwks(at),
    ...reloading,
  };
}

/** Like {@link loadGatewayKeys}, but does not require a key that may sign now. The `keys` commands use it. */
export function readKeys(directory: string): readonly GatewayKey[] {
  const files = keyFiles(directory);
  if (files.length === 0) throw new StartupError(`${directory}: holds no keys (*${suffix}). ${remedyFor(directory)}`);
  const keys = files.map((name) => readKey(directory, name));
  return keys.sort((a, b) => a.notBeforeSec - b.notBeforeSec || (a.keyid < b.keyid ? -1 : 1));
}

/**
 * Creates a key file.
 *
 * @param notBeforeSec When the key starts to sign. Services must have fetched it by then.
 * @returns The keyid.
 */
export function createGatewayKey(directory: string, notBeforeSec: number): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { keyid, text } = newKeyFile(notBeforeSec);
  createFile(join(directory, keyid + suffix), text, 0o600);
  return keyid;
}

/** Gives a key an expiry, so that its recent signatures stay valid until then. */
export function retireGatewayKey(directory: string, key: GatewayKey, expiresSec: number): void {
  replaceFile(join(directory, key.keyid + suffix), withExpiry(key, expiresSec), 0o600);
}

/** Deletes a key at once. Services then refuse its recent signatures too. */
export function removeGatewayKey(directory: string, key: GatewayKey): void {
  unlinkSync(join(directory, key.keyid + suffix));
}

type Timed = Readonly<{ notBeforeSec: number; expiresSec: number | undefined }>;

export const isActive = (key: Timed, nowSec: number): boolean =>
  key.notBeforeSec <= nowSec && (key.expiresSec === undefined || nowSec < key.expiresSec);

const isPublished = (key: Timed, nowSec: number): boolean =>
  key.expiresSec === undefined || nowSec < key.expiresSec + toleranceSec;

function keySetOf(
  keys: readonly GatewayKey[],
  agreementKeys: readonly GatewayAgreementKey[],
  directory: string,
): GatewayKeySet {
  const published = [
    ...keys.map((key) => ({ key, jwk: publicJwkOf(key) })),
    ...agreementKeys.map((key) => ({ key, jwk: publicAgreementJwk(key) })),
  ];
  return {
    keys,
    agreementKeys,
    agreementKey: (nowSec) => agreementKeys.findLast((key) => isActive(key, nowSec)),
    signingKey(nowSec) {
      const key = keys.findLast((candidate) => isActive(candidate, nowSec));
      if (key === undefined) throw new StartupError(`${directory}: no key may sign now. ${remedyFor(directory)}`);
      return key;
    },
    find: (keyid, nowSec) => keys.find((key) => key.keyid === keyid && isPublished(key, nowSec)),
    publicJwks: (nowSec) => ({
      keys: published.filter(({ key }) => isPublished(key, nowSec)).map(({ jwk }) => jwk),
    }),
  };
}

const remedyFor = (directory: string) => `Make one: countersign keys create --dir ${directory}`;

/** Whether the directory exists and holds a key. */
export function hasGatewayKeys(directory: string): boolean {
  return existsSync(directory) && keyFiles(directory).length > 0;
}

function keyFiles(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(suffix) && !name.startsWith('.'));
  } catch (error) {
    throw new StartupError(`${directory}: cannot be read (${codeOf(error)}). ${remedyFor(directory)}`, {
      cause: error,
    });
  }
}

function readKey(directory: string, name: string): GatewayKey {
  const path = join(directory, name);
  const text = readSecretFile(path);
  if (text.trim() === '')
    throw new StartupError(`${path}: is empty, so it was never a key. Delete it. ${remedyFor(directory)}`);
  const key = parseKeyFile(text);
  if (typeof key === 'string') throw new StartupError(`${path}: ${key}`);
  return key;
}
