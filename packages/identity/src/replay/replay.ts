/** A nonce to be used up. */
export type NonceClaim = Readonly<{
  /** Nonces of one audience and key never meet those of another. */
  audience: string;
  keyid: string;
  nonce: string;
  createdSec: number;
  /**
   * The last second, by the verifier's clock, in which any instance could still accept the request that carries it: this includes
   * the difference between the instances' clocks.
   */
  keepUntilSec: number;
  /** The verifier's clock. */
  nowSec: number;
}>;

/** `before_start`: created before this store began to remember, so that it cannot know. */
export type NonceVerdict = 'fresh' | 'replayed' | 'before_start';

/**
 * Remembers nonces until their requests are dead.
 *
 * @remarks A store must never answer `fresh` twice for one nonce within its life. What it cannot know it refuses: by
 *   `before_start`, or by throwing IdentityUnavailable.
 */
export interface ReplayStore {
  claim(claim: NonceClaim): NonceVerdict | Promise<NonceVerdict>;
}
