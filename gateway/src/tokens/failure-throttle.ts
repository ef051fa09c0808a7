import { LRUCache } from 'lru-cache';

/**
 * Counts refused tokens per client address. A client that sends too many is refused before its next token is verified.
 * Each process counts for itself, because the counts protect it from verification work.
 */
export type FailureThrottle = Readonly<{
  /** @returns Whole seconds until this address may try again, or 0. */
  waitSec(address: string): number;
  failed(address: string): void;
}>;

const windowMs = 60_000;
const maxAddresses = 20_000;

/** @param limit Failures allowed in one minute. At the limit, the address waits until the minute ends. */
export function createFailureThrottle(limit: number, monotonicMs: () => number): FailureThrottle {
  const windows = new LRUCache<string, { startMs: number; failures: number }>({ max: maxAddresses });
  return {
    waitSec(address) {
      const window = windows.get(address);
      if (window === undefined || window.failures < limit) return 0;
      return Math.max(0, Math.ceil((window.startMs + windowMs - monotonicMs()) / 1000));
    },
    failed(address) {
      const window = windows.get(address);
      if (window === undefined || monotonicMs() >= window.startMs + windowMs) {
        windows.set(address, { startMs: monotonicMs(), failures: 1 });
      } else {
        window.failures += 1;
      }
    },
  };
}
