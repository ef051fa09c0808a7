import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { toleranceMs } from '../../config/config.ts';

/** Values that a proof has to carry, so that it cannot have been made long before it is used (RFC 9449 sections 8 and 9). */
export type DpopNonces = Readonly<{
  /** What is handed out now. */
  current(): string;
  /** Whether it is the current one or the one before. In constant time. */
  accepts(nonce: string): boolean;
}>;

const macBytes = 16;

/**
 * Nonces come from the time alone, under a secret that the replicas share: nothing is stored, and each knows those of the others.
 *
 * @param lifetimeSec One nonce is handed out this long, and taken for twice as long at most.
 */
export function createDpopNonces(
  { secret, lifetimeSec }: Readonly<{ secret: Uint8Array; lifetimeSec: number }>,
  nowMs: () => number,
): DpopNonces {
  const key = createSecretKey(secret);
  const windowAt = (ms: number) => Math.floor(ms / 1000 / lifetimeSec);
  const macOf = (window: number) =>
    createHmac('sha256', key).update(`countersign dpop nonce v1 ${window}`).digest().subarray(0, macBytes);
  let latest = { window: Number.NaN, text: '' };

  return {
    current() {
      const window = windowAt(nowMs());
      if (window !== latest.window) latest = { window, text: macOf(window).toString('base64url') };
      return latest.text;
    },
    accepts(nonce) {
      const given = Buffer.from(nonce, 'base64url');
      if (given.length !== macBytes || given.toString('base64url') !== nonce) return false;
      const window = windowAt(nowMs());
      // The last may be of a replica whose clock is ahead of ours.
      const good = new Set([window, window - 1, windowAt(nowMs() + toleranceMs)]);
      return [...good].filter((one) => timingSafeEqual(macOf(one), given)).length > 0;
    },
  };
}
