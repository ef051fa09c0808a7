import type { Upstream } from '../config/config.ts';

/** At least `bytesPerSec` on average over each `windowMs`, and at least one byte. */
export type MinRate = Readonly<{ bytesPerSec: number; windowMs: number }>;

// Short, so that a trickling body does not hold its connection for long, but long enough to survive a brief network
// outage.
const uploadWindowMs = 20_000;
// Longer than for uploads: the kernel accepts writes in pieces of several hundred KiB, so a slow reader's progress is
// rarely visible.
const downloadWindowMs = 60_000;

type Limits = Pick<Upstream, 'minRate' | 'timeouts'>;

/** The slowest rate for a streamed body. */
export const uploadRate = (limits: Limits): MinRate => rateOf(limits, uploadWindowMs);

/** For a body that the gateway reads whole. No service waits for it, so its idle timeout does not apply. */
export const wholeBodyRate = ({ minRate }: Limits): MinRate => ({ bytesPerSec: minRate, windowMs: uploadWindowMs });

/** The slowest rate at which a client may read a response. */
export const downloadRate = (limits: Limits): MinRate => rateOf(limits, downloadWindowMs);

/** The window is at most the idle timeout and, without a rate, exactly the idle timeout. */
function rateOf({ minRate, timeouts: { idleMs } }: Limits, windowMs: number): MinRate {
  return { bytesPerSec: minRate, windowMs: minRate === 0 ? idleMs : Math.min(idleMs, windowMs) };
}

export type RateWatch = ReturnType<typeof watchRate>;

/**
 * Measures a transfer in windows, and calls `onTooSlow` once, at the end of a window with too few bytes. The first
 * window is a grace period. Checks four times per window, with one timer and no work per chunk.
 *
 * @param bytesNow Returns the bytes transferred so far. Undefined while the gateway is not waiting for the client.
 */
export function watchRate(
  { bytesPerSec, windowMs }: MinRate,
  bytesNow: () => number | undefined,
  onTooSlow: () => void,
) {
  const minBytes = Math.max(1, Math.ceil((bytesPerSec * windowMs) / 1000));
  let startedAtMs = performance.now();
  let bytesAtStart = bytesNow() ?? 0;
  let isExcused = false;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const bytes = bytesNow();
    if (bytes === undefined) isExcused = true;
    else if (isExcused || nowMs - startedAtMs >= windowMs) {
      if (!isExcused && bytes - bytesAtStart < minBytes) {
        clearInterval(timer);
        onTooSlow();
      }
      isExcused = false;
      startedAtMs = nowMs;
      bytesAtStart = bytes;
    }
  }, windowMs / 4);
  return {
    /** Starts a new window at the next check, after a time in which the gateway did not wait for the client. */
    restart(): void {
      isExcused = true;
    },
    stop: () => clearInterval(timer),
  };
}
