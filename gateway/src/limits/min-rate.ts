import type { Upstream } from '../config/config.ts';

/** Slowest transfer that a client may make: `bytesPerSec` on average over each `windowMs`, and at least one byte. */
export type MinRate = Readonly<{ bytesPerSec: number; windowMs: number }>;

// Short, so that a trickling body holds its connection briefly; long enough for a short loss of the network.
const uploadWindowMs = 20_000;
// Longer: the kernel takes writes in pieces of up to some hundred KiB, so a slow reader's progress shows rarely.
const downloadWindowMs = 60_000;

type Limits = Pick<Upstream, 'minRate' | 'timeouts'>;

/** The slowest rate of a streamed body. */
export const uploadRate = (limits: Limits): MinRate => rateOf(limits, uploadWindowMs);

/**
 * The slowest rate of a body that is read whole. The service does not wait for it, so its idle timeout does not apply.
 */
export const wholeBodyRate = ({ minRate }: Limits): MinRate => ({ bytesPerSec: minRate, windowMs: uploadWindowMs });

/** The slowest rate at which a client may read a response. */
export const downloadRate = (limits: Limits): MinRate => rateOf(limits, downloadWindowMs);

/** The idle timeout bounds the window. Without a rate it is the window. */
function rateOf({ minRate, timeouts: { idleMs } }: Limits, windowMs: number): MinRate {
  return { bytesPerSec: minRate, windowMs: minRate === 0 ? idleMs : Math.min(idleMs, windowMs) };
}

/** Measures a transfer window by window. The first window is a grace period. */
export class RateMeter {
  readonly #windowMs: number;
  readonly #minBytes: number;
  #startedAtMs: number;
  #bytesAtStart: number;
  #isExcused = false;

  /** @param bytes Bytes moved so far. */
  constructor({ bytesPerSec, windowMs }: MinRate, nowMs: number, bytes: number) {
    this.#windowMs = windowMs;
    this.#minBytes = Math.max(1, Math.ceil((bytesPerSec * windowMs) / 1000));
    this.#startedAtMs = nowMs;
    this.#bytesAtStart = bytes;
  }

  /** Another window starts with the next check, because the gateway was not waiting for the client. */
  restart(): void {
    this.#isExcused = true;
  }

  /**
   * @param bytes Bytes moved so far; undefined while the gateway is not waiting for the client.
   * @returns True at the end of a window in which too few bytes moved.
   */
  isTooSlow(nowMs: number, bytes: number | undefined): boolean {
    if (bytes === undefined) {
      this.#isExcused = true;
      return false;
    }
    if (!this.#isExcused && nowMs - this.#startedAtMs < this.#windowMs) return false;
    const isSlow = !this.#isExcused && bytes - this.#bytesAtStart < this.#minBytes;
    this.#isExcused = false;
    this.#startedAtMs = nowMs;
    this.#bytesAtStart = bytes;
    return isSlow;
  }
}

export type RateWatch = Readonly<{
  /** Call it when the gateway was not waiting for the client. */
  restart(): void;
  stop(): void;
}>;

/**
 * Checks a transfer four times a window, with one timer and no work per chunk.
 *
 * @param bytesNow Bytes moved so far; undefined while the gateway is not waiting for the client.
 * @param onTooSlow Called once.
 */
export function watchRate(rate: MinRate, bytesNow: () => number | undefined, onTooSlow: () => void): RateWatch {
  const meter = new RateMeter(rate, performance.now(), bytesNow() ?? 0);
  const timer = setInterval(() => {
    if (!meter.isTooSlow(performance.now(), bytesNow())) return;
    clearInterval(timer);
    onTooSlow();
  }, rate.windowMs / 4);
  return { restart: () => meter.restart(), stop: () => clearInterval(timer) };
}
