import type { KeyObject } from 'node:crypto';

export type KeySetStats = Readonly<{
  /** Milliseconds since the held set was last confirmed by its source; undefined while there is none. */
  ageMs: number | undefined;
  /** Attempts so far, failed ones included. */
  fetches: number;
  failures: number;
  /** Usable keys held. */
  keys: number;
}>;

/**
 * The public keys of one signer. Give every issuer its own: a `kid` of one issuer must never answer for another
 * (CVE-2025-59936, CVE-2026-33496).
 */
export interface KeySet {
  /** Steps whenever the usable keys changed; what was decided under another generation is to be decided again. */
  readonly generation: number;
  /** A set is held, and its source confirmed it within `maxStaleMs`. */
  readonly ready: boolean;
  readonly stats: KeySetStats;
  /** What is held now, without I/O. `alg` is a JOSE name; a key serves exactly one. */
  find(kid: string, alg: string): KeyObject | undefined;
  /**
   * As {@link find}, but an unknown `kid` may wait for one refetch (at most one in vain per cool-down, shared by all who wait).
   *
   * @throws KeySetUnavailable when no usable set is held, or when the `kid` is unknown and the last fetch failed: a fault of ours,
   *   never of the token.
   */
  lookup(kid: string, alg: string): Promise<KeyObject | undefined>;
  /** Starts fetching and refreshing in the background. Its timers do not keep the process alive. */
  start(): void;
  stop(): void;
}

/**
 * Whether a key exists cannot be known: nothing was fetched yet, the source has been silent for longer than `maxStaleMs`, or the key
 * is not in the set that is held and the last fetch failed.
 */
export class KeySetUnavailable extends Error {
  override readonly name = 'KeySetUnavailable';
}

/** How a key is found: a `kid` names one key, and that key serves one algorithm. */
export function keyIndex(kid: string, alg: string): string {
  return `${alg} ${kid}`;
}
