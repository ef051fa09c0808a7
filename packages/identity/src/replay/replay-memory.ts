import { IdentityUnavailable } from '../contract/refusal.ts';
import type { NonceClaim, NonceVerdict, ReplayStore } from './replay.ts';

export type MemoryReplayOptions = Readonly<{
  /** Live nonces at most; about 120 bytes each. Full: refused as unavailable, never forgotten early. Default 500,000. */
  maxNonces?: number;
  /**
   * By how much the gateway's clock may run ahead of this one, in seconds. Lengthens the quiet time after a start by as much:
   * a request that was created "in the future" may have been used before this process began. Default 0: with a gateway ahead by up to
   * the verifier's tolerance, what was used just before a restart could then be used again just after it.
   */
  gatewayAheadSec?: number;
  nowMs?: () => number;
}>;

export interface MemoryReplay extends ReplayStore {
  /** Unix milliseconds. Requests created earlier are refused; a service is best not called ready before. */
  readonly startsAtMs: number;
  /** Live nonces held, for a metric. */
  readonly size: number;
}

/**
 * Nonce memory of one process. It begins at the next whole second and refuses whatever was created before, so a restart opens no
 * window, as long as the gateway's clock is not ahead of this one: see `gatewayAheadSec`. Right for a service with one instance;
 * several instances need a shared store.
 */
export function memoryReplay(options: MemoryReplayOptions = {}): MemoryReplay {
  const { maxNonces = 500_000, gatewayAheadSec = 0, nowMs = Date.now } = options;
  return new MemoryReplayStore(Math.floor(nowMs() / 1000) + 1 + gatewayAheadSec, maxNonces);
}

class MemoryReplayStore implements MemoryReplay {
  readonly #startsAtSec: number;
  readonly #maxNonces: number;
  readonly #live = new Set<string>();
  /** By the last second of their life. A life is bounded, so there are never more than about a hundred. */
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
    // The clock was set back: this nonce may have been here and have been forgotten.
    if (claim.keepUntilSec < this.#sweptSec) return 'before_start';
    const key = `${claim.audience} ${claim.keyid} ${claim.nonce}`;
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
