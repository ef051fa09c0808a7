import { agreementDirectory, type KeySource } from './agreement-directory.ts';
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
   * - The path of a directory. The keys are created there (mode 0600), replaced every 90 days and read again every 5 s.
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
  /** The key exists only in this process. With several instances, the gateway would use none of their keys. */
  | Readonly<{ type: 'memory'; kid: string }>
  /** The keys cannot be read, or the next one cannot be created. The last valid keys stay in use. */
  | Readonly<{ type: 'failed'; error: unknown }>;

const readAgainMs = 5_000;
const shortestRotationSec = 3600;

/**
 * Opens the keys of a service. They are read, made and dropped when they are looked up or published.
 *
 * @throws RangeError when a given key is not a private JWK or names another service, or none is given. Error when the
 *   directory cannot be used.
 */
export function openAgreementKeys(options: AgreementOptions, audience: string, nowMs = Date.now): AgreementKeys {
  const { keys, rotateAfterSec: everySec = rotateAfterSec, onEvent = warn } = options;
  if (!(everySec >= shortestRotationSec)) throw new RangeError('rotateAfterSec must be 3600 or more');
  if (typeof keys !== 'string') return givenKeys(keys, audience);
  const nowSec = () => Math.floor(nowMs() / 1000);
  const isInMemory = keys === 'memory';
  const source = isInMemory ? memorySource(nowSec, onEvent) : agreementDirectory(keys, nowSec, audience);
  return rotatingKeys(source, { audience, isInMemory, everySec, nowMs, onEvent });
}

function givenKeys(jwks: readonly unknown[], audience: string): AgreementKeys {
  const pairs = jwks.map((jwk) => agreementKeyFromJwk(jwk, audience));
  const [first] = pairs;
  if (first === undefined) throw new RangeError('agreement needs a key');
  const byKid = new Map(pairs.map((pair) => [pair.kid, pair]));
  const published = [publicAgreementJwk(first, audience)];
  return { isInMemory: false, find: (kid) => byKid.get(kid), published: () => published };
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
  audience: string;
  isInMemory: boolean;
  everySec: number;
  nowMs(): number;
  onEvent(event: AgreementEvent): void;
}>;

function rotatingKeys(source: KeySource, options: RotatingOptions): AgreementKeys {
  const { audience, isInMemory, everySec, nowMs, onEvent } = options;
  let readAtMs = nowMs();
  let failure: string | undefined;
  let held = heldKeys(readOrAdd(), audience);

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
      held = heldKeys(fresh, audience);
    } catch (error) {
      report(error);
    }
  }

  return {
    isInMemory,
    find(kid) {
      refresh();
      return held.byKid.get(kid);
    },
    published() {
      refresh();
      return held.jwks;
    },
  };
}

const heldKeys = ({ accepted, published }: ScheduledKeys, audience: string) => ({
  byKid: new Map(accepted.map((key) => [key.kid, key])),
  jwks: published.map((key) => publicAgreementJwk(key, audience)),
});

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
