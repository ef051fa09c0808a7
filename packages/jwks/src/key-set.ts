import type { KeyObject } from 'node:crypto';
import type { JwkRefusal } from './import-jwk.ts';

export type KeySetStats = Readonly<{
  /** Milliseconds since a fetch last confirmed the current set. Undefined if there is no set. */
  ageMs: number | undefined;
  /** The number of fetches so far, including failed ones. */
  fetches: number;
  failures: number;
  /** The number of usable keys. 0 once the set is too old. */
  keys: number;
  /** The ids and algorithms of the usable keys. */
  held: readonly HeldKey[];
  /** The unusable keys in the last set. */
  ignored: readonly IgnoredKey[];
  /** Milliseconds until the next fetch. Undefined for sets that are never fetched. */
  nextInMs: number | undefined;
  /** The last failure, as long as fetches fail. */
  failure: Readonly<{ reason: string; failuresInARow: number }> | undefined;
}>;

/** One usable key: its id, and its algorithm's JOSE name. */
export type HeldKey = Readonly<{ kid: string; alg: string }>;

/** A key set entry that cannot be used, and why. */
export type IgnoredKey = Readonly<{
  kid: string | undefined;
  reason: JwkRefusal | 'kid_missing' | 'kid_duplicate';
}>;

/**
 * The public keys of one signer. Use one key set per issuer, because a `kid` of one issuer must never select another
 * issuer's key (CVE-2025-59936, CVE-2026-33496).
 */
export interface KeySet {
  /** Increases whenever the usable keys change. Discard verification results from an older generation. */
  readonly generation: number;
  /** Whether there is a set that was confirmed within `maxStaleMs`. */
  readonly ready: boolean;
  readonly stats: KeySetStats;
  /** Finds a known key, without I/O. `alg` is a JOSE name, and each key works with exactly one. */
  find(kid: string, alg: string): KeyObject | undefined;
  /**
   * Like {@link find}, but an unknown `kid` may trigger one fetch, which concurrent lookups share. At most one fetch
   * that does not find its key runs per cool-down.
   *
   * @param except A known key that did not verify a signature. It counts as unknown, because an issuer may replace a
   *   key and keep its `kid`. A set that is never fetched may return it again.
   * @throws KeySetUnavailable if there is no usable set, or if the `kid` is unknown and the last fetch failed.
   */
  lookup(kid: string, alg: string, except?: KeyObject): Promise<KeyObject | undefined>;
  /** Starts fetching and refreshing in the background. The timers do not keep the process alive. */
  start(): void;
  stop(): void;
}

/**
 * The key set cannot tell whether a key exists. Either no set was fetched yet, the current set is older than
 * `maxStaleMs`, or the set does not contain the key and the last fetch failed.
 */
export class KeySetUnavailable extends Error {
  override readonly name = 'KeySetUnavailable';
}

/** Returns a key's index. Each `kid` names one key, and that key works with one algorithm. */
export const keyIndex = (kid: string, alg: string): string => `${alg} ${kid}`;
