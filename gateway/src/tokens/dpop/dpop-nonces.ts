import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { isBase64url } from '@countersign/jwks';
import { toleranceMs } from '../../config/config.ts';

const macBytes = 16;

/**
 * Nonces that proofs must contain, so that a proof cannot be made long before its use (RFC 9449 sections 8 and 9). Derived from the time
 * and a shared secret. Nothing is stored, and each replica accepts the nonces of the others.
 *
 * @param options.lifetimeSec A nonce is handed out for this time, and accepted for at most twice as long.
 */
export function createDpopNonces(
  { secret, lifetimeSec }: Readonly<{ secret: Uint8Array; lifetimeSec: number }>,
  nowMs: () => number,
) {
  const key = createSecretKey(secret);
  const windowAt = (ms: number) => Math.floor(ms / 1000 / lifetimeSec);
  const macOf = (window: number) =>
    createHmac('sha256', key).update(`countersign dpop nonce v1 ${window}`).digest().subarray(0, macBytes);
  let latest = { window: Number.NaN, text: '' };

  return {
    /** The nonce to hand out now. */
    current(): string {
      const window = windowAt(nowMs());
      if (window !== latest.window) latest = { window, text: macOf(window).toString('base64url') };
      return latest.text;
    },
    /** Whether this is the current nonce or the previous one, compared in constant time. */
    accepts(nonce: string): boolean {
      if (!isBase64url(nonce, macBytes)) return false;
      const given = Buffer.from(nonce, 'base64url');
      const window = windowAt(nowMs());
      // The third may come from a replica whose clock is ahead.
      const good = new Set([window, window - 1, windowAt(nowMs() + toleranceMs)]);
      return [...good].filter((one) => timingSafeEqual(macOf(one), given)).length > 0;
    },
  };
}
