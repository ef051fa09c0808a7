import { addAgreementKey, readAgreementDirectory, removeAgreementKeys } from './agreement-directory.ts';
import {
  type AgreementJwk,
  type AgreementKeyPair,
  agreementKeyFromJwk,
  newAgreementJwk,
  publicAgreementJwk,
} from './agreement-jwk.ts';
import { type DatedKey, rotateAfterSec, type ScheduledKeys, scheduleKeys } from './agreement-schedule.ts';

/** The keys of a service for agreement with the gateway. */
export interface AgreementKeys {
  /** Whether the keys exist only in this process. The service must then have one instance. */
  readonly isInMemory: boolean;
  /** Finds a key that the service accepts now. */
  find(kid: string): AgreementKeyPair | undefined;
  /** The public keys to publish at `/.well-known/jwks.json`, the preferred one first. */
  published(): readonly AgreementJwk[];
}

export type AgreementOptions = Readonly<{
  /**
   * Where the service's keys are. All instances of a service share them.
   *
   * - The path of a directory. The keys are created there (mode 0600), replaced every 90 days and read again every 5
   * s.
   *   Instances on several machines need a shared directory.
   * - `memory`: made at start, for a service with one instance. (A directory of this name is `./memory`.)
   * - Private JWKs, for example from a variable: see `newAgreementJwk`. The first one is published, all are accepted.
   */
  keys: string | readonly unknown[];
  /** How long to use a key before the next one replaces it, in seconds, at least one hour. Default: 90 days. */
  rotateAfterSec?: number;
  /** Called when a key is created in memory, and when keys cannot be read or created. Default: a Node.js warning. */
  onEvent?: (event: AgreementEvent) => void;
}>;

export type AgreementEvent =
  /**
   * The key exists only in this process. Several instances would publish different keys, and the gateway would use
   * none.
   */
  | Readonly<{ type: 'memory'; kid: string }>
  /** The keys cannot be read, or the next one cannot be created. The last valid keys stay in use. */
  | Readonly<{ type: 'failed'; error: unknown }>;

const readAgainMs = 5_000;
const shortestRotationSec = 3600;

/**
 * Opens the keys of a service. They need no timer: keys are read, made and dropped when they are looked up or
 * published.
 *
 * @param nowMs Unix milliseconds.
 * @throws RangeError when a given key is not a private JWK, or none is given. Error when the directory cannot be used.
 */
export function openAgreementKeys(options: AgreementOptions, nowMs: () => number = Date.now): AgreementKeys {
  const { keys, rotateAfterSec: everySec = rotateAfterSec, onEvent = warn } = options;
  if (!(everySec >= shortestRotationSec)) throw new RangeError('rotateAfterSec must be 3600 or more');
  if (typeof keys !== 'string') return givenKeys(keys);
  const nowSec = () => Math.floor(nowMs() / 1000);
  return keys === 'memory'
    ? rotatingKeys(memorySource(nowSec, onEvent), { isInMemory: true, everySec, nowMs, onEvent })
    : rotatingKeys(directorySource(keys, nowSec), { isInMemory: false, everySec, nowMs, onEvent });
}

function givenKeys(jwks: readonly unknown[]): AgreementKeys {
  const pairs = jwks.map(agreementKeyFromJwk);
  const [first] = pairs;
  if (first === undefined) throw new RangeError('agreement needs a key');
  const byKid = new Map(pairs.map((pair) => [pair.kid, pair]));
  const published = [publicAgreementJwk(first)];
  return { isInMemory: false, find: (kid) => byKid.get(kid), published: () => published };
}

/** Where the keys are stored. */
type KeySource = Readonly<{
  read(): readonly DatedKey[];
  add(): void;
  remove(over: readonly DatedKey[]): void;
}>;

function directorySource(directory: string, nowSec: () => number): KeySource {
  return {
    read: () => readAgreementDirectory(directory),
    add: () => addAgreementKey(directory, nowSec()),
    remove: (over) => removeAgreementKeys(directory, over),
  };
}

function memorySource(nowSec: () => number, onEvent: (event: AgreementEvent) => void): KeySource {
  let held: readonly DatedKey[] = [];
  return {
    read: () => held,
    add() {
      const key = { ...agreementKeyFromJwk(newAgreementJwk()), createdSec: nowSec() };
      if (held.length === 0) onEvent({ type: 'memory', kid: key.kid });
      held = [...held, key];
    },
    remove(over) {
      held = held.filter((key) => !over.includes(key));
    },
  };
}

type RotatingOptions = Readonly<{
  isInMemory: boolean;
  everySec: number;
  nowMs(): number;
  onEvent(event: AgreementEvent): void;
}>;

function rotatingKeys(source: KeySource, options: RotatingOptions): AgreementKeys {
  const { isInMemory, everySec, nowMs, onEvent } = options;
  let readAtMs = nowMs();
  let held = readOrAdd();
  let byKid = indexed(held);
  let jwks = held.published.map(publicAgreementJwk);
  let failure: string | undefined;

  function readOrAdd(): ScheduledKeys {
    const schedule = () => scheduleKeys(source.read(), Math.floor(nowMs() / 1000), everySec);
    const found = schedule();
    if (!found.isDue) return found;
    try {
      source.add();
    } catch (error) {
      // A directory that this instance may only read: another instance or the operator creates the next key.
      if (found.published.length === 0) throw error;
      report(error);
      return found;
    }
    return schedule();
  }

  function report(error: unknown): void {
    const message = String(error);
    if (message !== failure) onEvent({ type: 'failed', error });
    failure = message;
  }

  function refresh(): void {
    const now = nowMs();
    if (Math.abs(now - readAtMs) < readAgainMs) return;
    readAtMs = now;
    try {
      const fresh = readOrAdd();
      if (fresh.over.length > 0) source.remove(fresh.over);
      held = fresh;
      byKid = indexed(held);
      jwks = held.published.map(publicAgreementJwk);
    } catch (error) {
      report(error);
    }
  }

  return {
    isInMemory,
    find(kid) {
      refresh();
      return byKid.get(kid);
    },
    published() {
      refresh();
      return jwks;
    },
  };
}

const indexed = ({ accepted }: ScheduledKeys) => new Map(accepted.map((key) => [key.kid, key]));

function warn(event: AgreementEvent): void {
  if (event.type === 'memory') {
    process.emitWarning('the key for agreement with the gateway is in memory: run one instance of this service only', {
      code: 'COUNTERSIGN_AGREEMENT_IN_MEMORY',
    });
    return;
  }
  const why = event.error instanceof Error ? event.error.message : String(event.error);
  process.emitWarning(`the keys for agreement cannot be read or made: the last good ones stay in use (${why})`, {
    code: 'COUNTERSIGN_AGREEMENT_KEYS',
  });
}
