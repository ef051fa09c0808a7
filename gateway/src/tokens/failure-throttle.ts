import { LRUCache } from 'lru-cache';

/**
 * Counts refused tokens by address, so that somebody who tries tokens is answered before any of them is verified.
 * This process's own memory: it protects this process.
 */
export type FailureThrottle = Readonly<{
  /** @returns Whole seconds to wait, or 0 when this address may try. */
  waitSec(address: string): number;
  failed(address: string): void;
}>;

const windowMs = 60_000;
const maxAddresses = 20_000;

/** @param limit Failures within a minute after which an address has to wait for the minute's end. */
export function createFailureThrottle(limit: number, nowMs: () => number): FailureThrottle {
  const windows = new LRUCache<string, { startMs: number; failures: number }>({ max: maxAddresses });
  return {
    waitSec(address) {
      const window = windows.get(address);
      if (window === undefined || window.failures < limit) return 0;
      return Math.max(0, Math.ceil((window.startMs + windowMs - nowMs()) / 1000));
    },
    failed(address) {
      const window = windows.get(address);
      if (window === undefined || nowMs() >= window.startMs + windowMs) {
        windows.set(address, { startMs: nowMs(), failures: 1 });
      } else {
        window.failures += 1;
      }
    },
  };
}
