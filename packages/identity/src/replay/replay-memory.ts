import { IdentityUnavailable } from '../contract/refusal.ts';
import type { NonceClaim, NonceVerdict, ReplayStore } from './replay.ts';

export type MemoryReplayOptions = Readonly<{
  /** Maximum number of live nonces, about 120 bytes each. Further claims throw. Default 500,000. */
  maxNonces?: number;
  /**
   * How far the gateway's clock may run ahead of this one, in seconds. The store refuses requests for that much longer
   * after a start, because a request created "in the future" may have been used before the restart. Default 0: if the
   * gateway's clock is ahead by up to the verifier's tolerance, a request used just before a restart is accepted again
   * just after it.
   */
  gatewayAheadSec?: number;
  nowMs?: () => number;
}>;

export interface MemoryReplay extends ReplayStore {
  /** Unix milliseconds. Requests created earlier are refused. Report ready only after this time. */
  readonly startsAtMs: number;
  /** The number of live nonces, for a metric. */
  readonly size: number;
}

/**
 * Creates a nonce store in the memory of one process, for a service with one instance. Several instances need a shared
 * store. The store begins at the next whole second and refuses requests created earlier, so a restart allows no
 * replay. This holds while the gateway's clock is not ahead of this one; see `gatewayAheadSec`.
 */
export function memoryReplay(options: MemoryReplayOptions = {}): MemoryReplay {
  const { maxNonces = 500_000, gatewayAheadSec = 0, nowMs = Date.now } = options;
  return new MemoryReplayStore(Math.floor(nowMs() / 1000) + 1 + gatewayAheadSec, maxNonces);
}

class MemoryReplayStore implements MemoryReplay {
  readonly #startsAtSec: number;
  readonly #maxNonces: number;
  readonly #live = new Set<string>();
  /** Nonces by `keepUntilSec`. Lifetimes are bounded, so there are at most about a hundred entries. */
  readonly #expiringAt = new Map<number, string[]>();
  #sweptSec = 0;

  constructor(startsAtSec: number, maxNonces: number) {
    this.#startsAtSec = startsAtSec;
    this.#maxNonces = maxNonces;
  }

  get startsAtMs(): number {
    return this.#startsAtSec * 1000;
  }

  get size(): number {
    return this.#live.size;
  }

  claim(claim: NonceClaim): NonceVerdict {
    if (claim.createdSec < this.#startsAtSec) return 'before_start';
    this.#sweep(claim.nowSec);
    // The clock was set back. This nonce may have been claimed and then removed.
    if (claim.keepUntilSec < this.#sweptSec) return 'before_start';
    const key = `${claim.audience} ${claim.nonce}`;
    if (this.#live.has(key)) return 'replayed';
    if (this.#live.size >= this.#maxNonces)
      throw new IdentityUnavailable('the nonce memory is full', { reason: 'replay_unavailable' });
    this.#live.add(key);
    const expiring = this.#expiringAt.get(claim.keepUntilSec);
    if (expiring === undefined) this.#expiringAt.set(claim.keepUntilSec, [key]);
    else expiring.push(key);
    return 'fresh';
  }

  #sweep(nowSec: number): void {
    if (nowSec <= this.#sweptSec) return;
    this.#sweptSec = nowSec;
    for (const [expiresSec, keys] of this.#expiringAt) {
      if (expiresSec >= nowSec) continue;
      for (const key of keys) this.#live.delete(key);
      this.#expiringAt.delete(expiresSec);
    }
  }
}
