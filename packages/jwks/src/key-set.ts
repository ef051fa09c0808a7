import type { KeyObject } from 'node:crypto';
import type { JwkRefusal } from './import-jwk.ts';

export type KeySetStats = Readonly<{
  /** Milliseconds since a fetch last confirmed the held set. Undefined while no set is held. */
  ageMs: number | undefined;
  /** Fetch attempts so far, including failed ones. */
  fetches: number;
  failures: number;
  /** Usable keys held. 0 once the set is too old. */
  keys: number;
  /** Their names. */
  held: readonly HeldKey[];
  /** Unusable keys of the last set. */
  ignored: readonly IgnoredKey[];
  /** Milliseconds until the next fetch. Undefined for sets that are not fetched. */
  nextInMs: number | undefined;
  /** The last failure, while fetches fail. */
  failure: Readonly<{ reason: string; failuresInARow: number }> | undefined;
}>;

/** One usable key: its id, and the JOSE name of its algorithm. */
export type HeldKey = Readonly<{ kid: string; alg: string }>;

/** An entry of a key set that cannot be used, and why. */
export type IgnoredKey = Readonly<{
  kid: string | undefined;
  reason: JwkRefusal | 'kid_missing' | 'kid_duplicate';
}>;

/**
 * The public keys of one signer. Use one key set per issuer: a `kid` of one issuer must never select the key of another
 * (CVE-2025-59936, CVE-2026-33496).
 */
export interface KeySet {
  /** Increases whenever the usable keys change. Discard verification results of an older generation. */
  readonly generation: number;
  /** Whether a set is held that was confirmed within `maxStaleMs`. */
  readonly ready: boolean;
  readonly stats: KeySetStats;
  /** Finds a held key, without I/O. `alg` is a JOSE name; each key serves exactly one. */
  find(kid: string, alg: string): KeyObject | undefined;
  /**
   * Like {@link find}, but an unknown `kid` may trigger one fetch, which concurrent lookups share. At most one fetch
   * that does not find its key runs per cool-down.
   *
   * @param except A held key that did not verify a signature. It counts as unknown, because an issuer may replace a key
   *   and keep its `kid`. A set that is not fetched may return it again.
   * @throws KeySetUnavailable if no usable set is held, or the `kid` is unknown and the last fetch failed. The token is
   *   not at fault.
   */
  lookup(kid: string, alg: string, except?: KeyObject): Promise<KeyObject | undefined>;
  /** Starts fetching and refreshing in the background. The timers do not keep the process alive. */
  start(): void;
  stop(): void;
}

/**
 * The key set cannot tell whether a key exists. Either no set was fetched yet, the held set is older than `maxStaleMs`,
 * or the held set does not contain the key and the last fetch failed.
 */
export class KeySetUnavailable extends Error {
  override readonly name = 'KeySetUnavailable';
}

/** The index of a key: each `kid` names one key, and that key serves one algorithm. */
export function keyIndex(kid: string, alg: string): string {
  return `${alg} ${kid}`;
}

/** Reverses {@link keyIndex}: neither a name of an algorithm nor a kid contains a space. */
export function heldKeys(indexes: Iterable<string>): readonly HeldKey[] {
  return Array.from(indexes, (index) => {
    const [alg = '', kid = ''] = index.split(' ');
    return { kid, alg };
  });
}
