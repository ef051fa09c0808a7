import type { Upstream } from '../config/config.ts';

/** A client has to move at least `bytesPerSec` on average over each `windowMs`, and at least one byte. */
export type MinRate = Readonly<{ bytesPerSec: number; windowMs: number }>;

// Short, so that a body that trickles in holds its connection briefly; long enough for a train in a tunnel.
const uploadWindowMs = 20_000;
// Longer: the kernel takes what is written in pieces of up to some hundred KiB, so a slow reader's progress shows rarely.
const downloadWindowMs = 60_000;

type Limits = Pick<Upstream, 'minRate' | 'timeouts'>;

/** How fast a streamed body has to arrive. */
export const uploadRate = (limits: Limits): MinRate => rateOf(limits, uploadWindowMs);

/** How fast a body has to arrive that is read whole. The service waits for none of it, so its idle time says nothing. */
export const wholeBodyRate = ({ minRate }: Limits): MinRate => ({ bytesPerSec: minRate, windowMs: uploadWindowMs });

/** How fast an answer has to be read. */
export const downloadRate = (limits: Limits): MinRate => rateOf(limits, downloadWindowMs);

/** Without a rate only the idle time counts. It also bounds the window, since nothing may stand still for longer. */
function rateOf({ minRate, timeouts: { idleMs } }: Limits, windowMs: number): MinRate {
  return { bytesPerSec: minRate, windowMs: minRate === 0 ? idleMs : Math.min(idleMs, windowMs) };
}

/** Bytes over time, and whether that is too slow. The first window is a client's grace. */
export class RateMeter {
  readonly #windowMs: number;
  readonly #minBytes: number;
  #startedAtMs: number;
  #bytesAtStart: number;

  /** @param bytes How many have been moved so far. */
  constructor({ bytesPerSec, windowMs }: MinRate, nowMs: number, bytes: number) {
    this.#windowMs = windowMs;
    this.#minBytes = Math.max(1, Math.ceil((bytesPerSec * windowMs) / 1000));
    this.#startedAtMs = nowMs;
    this.#bytesAtStart = bytes;
  }

  /** Begins another window, because the client was not what the gateway waited for. */
  restart(nowMs: number, bytes: number): void {
    this.#startedAtMs = nowMs;
    this.#bytesAtStart = bytes;
  }

  /** @returns True at the end of a window in which fewer bytes moved than the rate asks for. */
  isTooSlow(nowMs: number, bytes: number): boolean {
    if (nowMs - this.#startedAtMs < this.#windowMs) return false;
    const moved = bytes - this.#bytesAtStart;
    this.restart(nowMs, bytes);
    return moved < this.#minBytes;
  }
}

export type RateWatch = Readonly<{
  /** The client was not what the gateway waited for. */
  restart(): void;
  stop(): void;
}>;

/**
 * Looks at a transfer four times a window: one timer, and nothing per chunk.
 *
 * @param bytesNow How many bytes have been moved so far; undefined while the gateway does not wait for the client.
 * @param onTooSlow Called once.
 */
export function watchRate(rate: MinRate, bytesNow: () => number | undefined, onTooSlow: () => void): RateWatch {
  const meter = new RateMeter(rate, performance.now(), bytesNow() ?? 0);
  let isExcused = false;
  const timer = setInterval(() => {
    const bytes = bytesNow();
    if (bytes === undefined) {
      isExcused = true;
      return;
    }
    if (isExcused) restart(bytes);
    else if (meter.isTooSlow(performance.now(), bytes)) {
      clearInterval(timer);
      onTooSlow();
    }
  }, rate.windowMs / 4);

  function restart(bytes: number): void {
    isExcused = false;
    meter.restart(performance.now(), bytes);
  }

  return {
    restart() {
      isExcused = true;
    },
    stop: () => clearInterval(timer),
  };
}
