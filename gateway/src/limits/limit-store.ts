import type { Logger } from '@countersign/service-kit';
import { Redis } from 'ioredis';

/** Redis, as far as limits need it: never waited for longer than the time limit, and left alone for a while after it failed. */
export type LimitStore = Readonly<{
  redis: Redis;
  /**
   * Runs the first where Redis answers in time, otherwise the second.
   *
   * @param untilMs By `performance.now()`: how long the whole request may wait for Redis, however many limits it has.
   */
  attempt<T>(shared: () => Promise<T>, otherwise: () => Promise<T>, untilMs: number): Promise<T>;
  close(): void;
}>;

/** A request is answered within 300 ms while Redis hangs: here 100, as much for the service's own memory of nonces, and the rest for the work. */
export const answerWithinMs = 100;
// While it hangs, one request in this time asks again for all; the others do not wait, nor pile up commands that it would run later.
const pauseAfterFailureMs = 1_000;

/** Connects in the background, and keeps trying. */
export function openLimitStore(url: string, logger: Logger): LimitStore {
  const redis = new Redis(url, {
    // Queued commands would be run late, when Redis is back, and count requests that were long answered.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Only so that what was never answered is forgotten one day. How long is waited is each caller's to say.
    commandTimeout: 5_000,
    connectTimeout: 2_000,
    disconnectTimeout: 100,
    retryStrategy: (attempts) => Math.min(2_000, 100 * attempts),
  });
  /** 0 while it answers. */
  let pausedUntilMs = 0;
  let failing = false;
  redis.on('error', (error) => {
    if (!failing) logger.warn({ err: error }, 'redis is gone: limits do without it until it is back');
    failing = true;
  });
  redis.on('ready', () => {
    if (failing) logger.info('redis is back: limits are shared again');
    failing = false;
    pausedUntilMs = 0;
  });

  return {
    redis,
    async attempt(shared, otherwise, untilMs) {
      const nowMs = performance.now();
      const leftMs = untilMs - nowMs;
      if (redis.status !== 'ready' || leftMs <= 0 || nowMs < pausedUntilMs) return otherwise();
      // Before it is asked, or all that come while this one waits would ask as well.
      if (pausedUntilMs > 0) pausedUntilMs = nowMs + pauseAfterFailureMs;
      try {
        const answer = await within(shared(), leftMs);
        pausedUntilMs = 0;
        return answer;
      } catch (error) {
        pausedUntilMs = performance.now() + pauseAfterFailureMs;
        logger.warn({ err: error }, 'redis did not answer: limits do without it for a moment');
        return otherwise();
      }
    },
    close() {
      redis.disconnect();
    },
  };
}

/**
 * Judged only after the answers that are there were read: where this process itself was busy for so long, timers come first, and
 * Redis would be blamed for it.
 */
async function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      turn = setImmediate(() => reject(new Error('no answer in time')));
    }, ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    clearImmediate(turn);
  }
}
