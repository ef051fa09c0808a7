/** The nonce to claim. */
export type NonceClaim = Readonly<{
  /** Each audience has its own set of nonces. Keys do not: a nonce can be used only once, even with two keys. */
  audience: string;
  nonce: string;
  createdSec: number;
  /**
   * The last second, by the verifier's clock, in which any instance could accept the request. It allows for the
   * difference between the instances' clocks.
   */
  keepUntilSec: number;
  /** The current second by the verifier's clock. */
  nowSec: number;
  /**
   * Whether the signed method is GET or HEAD, without an upgrade: messages of a WebSocket may write. A store may decide
   * about reads with less certainty. Default false.
   */
  isRead?: boolean;
}>;

/** `before_start`: the request was created before this store began to remember, so it may have been used already. */
export type NonceVerdict = 'fresh' | 'replayed' | 'before_start';

/**
 * Remembers nonces until their requests can no longer be accepted.
 *
 * @remarks A store must never return `fresh` twice for one nonce before `keepUntilSec`. If it cannot know whether a
 *   nonce was used, it returns `before_start` or throws IdentityUnavailable.
 */
export interface ReplayStore {
  /** Whether several instances share this store. */
  readonly isShared?: boolean;
  claim(claim: NonceClaim): NonceVerdict | Promise<NonceVerdict>;
}
