import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createFile, type Logger, replaceFile, StartupError } from '@countersign/service-kit';
import { type GatewayKey, newKeyFile, type PublicJwk, parseKeyFile, publicJwkOf, withExpiry } from './key-file.ts';
import { createReloader, type Reloading } from './reloader.ts';

export type { GatewayKey } from './key-file.ts';

/** The keys of one directory, read once. Which of them signs follows from the time alone. */
export type GatewayKeySet = Readonly<{
  /** Newest `nbf` last. */
  keys: readonly GatewayKey[];
  /**
   * The newest key whose time it is.
   *
   * @throws StartupError when there is none: nothing goes out unsigned.
   */
  signingKey(nowSec: number): GatewayKey;
  /** One that has not ended, or only just: what it made lately is still to be accepted. */
  find(keyid: string, nowSec: number): GatewayKey | undefined;
  /** All that have not expired, those to come included: a key is published before it is used. */
  publicJwks(nowSec: number): Readonly<{ keys: readonly PublicJwk[] }>;
}>;

/** The keys of the gateway's directory, as its files are now. */
export type CurrentGatewayKeys = GatewayKeySet & Reloading;

const suffix = '.jwk.json';

/** A verifier's tolerance for clocks; a key stays published this long after its end. */
const toleranceSec = 5;

/**
 * Reads the directory of `identity.keys`. All or nothing: one bad file is a reason to ask a person, not to sign with
 * whatever else is there.
 *
 * @param nowSec Unix seconds; at least one key must be able to sign now.
 * @throws StartupError when the directory is missing, empty, unreadable or open to others, or a file is malformed.
 */
export function loadGatewayKeys(directory: string, nowSec: number): GatewayKeySet {
  const set = keySetOf(readKeys(directory), directory);
  set.signingKey(nowSec);
  return set;
}

/**
 * Which key signs follows from the files and the time alone, so replicas that share the directory agree without asking each
 * other: a new key is seen by all within seconds, published by all, and used by all from its `nbf` on.
 *
 * @throws StartupError when any of them cannot be read.
 */
export function openGatewayKeys(directory: string, nowSec: () => number, logger: Logger): CurrentGatewayKeys {
  const { current, ...reloading } = createReloader({
    what: 'gateway keys',
    load: () => loadGatewayKeys(directory, nowSec()),
    fingerprint: ({ keys }) => JSON.stringify(keys.map((key) => [key.keyid, key.notBeforeSec, key.expiresSec])),
    logger,
  });
  return {
    get keys() {
      return current().keys;
    },
    signingKey: (at) => current().signingKey(at),
    find: (keyid, at) => current().find(keyid, at),
    publicJwks: (at) => current().publicJwks(at),
    ...reloading,
  };
}

/** The same without asking that one can sign now: for the commands that mend that. */
export function readKeys(directory: string): readonly GatewayKey[] {
  const files = keyFiles(directory);
  if (files.length === 0) throw new StartupError(`${directory}: holds no keys (*${suffix}). ${remedyFor(directory)}`);
  const keys = files.map((name) => readKey(directory, name));
  return keys.sort((a, b) => a.notBeforeSec - b.notBeforeSec || (a.keyid < b.keyid ? -1 : 1));
}

/** @param notBeforeSec When it begins to sign. Services must have fetched it by then. */
export function createGatewayKey(directory: string, notBeforeSec: number): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { keyid, text } = newKeyFile(notBeforeSec);
  createFile(join(directory, keyid + suffix), text, 0o600);
  return keyid;
}

/** Ends a key at a time, which lets signatures under way run out. */
export function retireGatewayKey(directory: string, key: GatewayKey, expiresSec: number): void {
  replaceFile(join(directory, key.keyid + suffix), withExpiry(key, expiresSec), 0o600);
}

/** Takes a key away at once: what it signed a moment ago is refused too. */
export function removeGatewayKey(directory: string, key: GatewayKey): void {
  unlinkSync(join(directory, key.keyid + suffix));
}

function keySetOf(keys: readonly GatewayKey[], directory: string): GatewayKeySet {
  const active = (key: GatewayKey, nowSec: number) =>
    key.notBeforeSec <= nowSec && (key.expiresSec === undefined || nowSec < key.expiresSec);
  const published = (key: GatewayKey, nowSec: number) =>
    key.expiresSec === undefined || nowSec < key.expiresSec + toleranceSec;
  const jwks = new Map(keys.map((key) => [key, publicJwkOf(key)]));
  return {
    keys,
    signingKey(nowSec) {
      const key = keys.findLast((candidate) => active(candidate, nowSec));
      if (key === undefined) throw new StartupError(`${directory}: no key may sign now. ${remedyFor(directory)}`);
      return key;
    },
    find: (keyid, nowSec) => keys.find((key) => key.keyid === keyid && published(key, nowSec)),
    publicJwks: (nowSec) => ({
      keys: keys.filter((key) => published(key, nowSec)).flatMap((key) => jwks.get(key) ?? []),
    }),
  };
}

const remedyFor = (directory: string) => `Make one: countersign keys create --dir ${directory}`;

/** Whether there is a key to begin with; a directory that is not there holds none. */
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
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartupError(`${path}: cannot be read (${codeOf(error)})`, { cause: error });
  }
  if ((mode & 0o077) !== 0) {
    throw new StartupError(`${path}: others may read it (mode ${(mode & 0o777).toString(8)}). chmod 600 it`);
  }
  if (text.trim() === '')
    throw new StartupError(`${path}: is empty, so it was never a key. Delete it. ${remedyFor(directory)}`);
  const key = parseKeyFile(text);
  if (typeof key === 'string') throw new StartupError(`${path}: ${key}`);
  return key;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'error';
}
