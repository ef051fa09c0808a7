import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, withTimeout } from '@countersign/service-kit';
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
  /** Connects in the background, and keeps trying. */
  start(): void;
  close(): void;
}>;

/** A request is answered within 300 ms while Redis hangs: here 100, as much for the service's own memory of nonces, and the rest for the work. */
export const answerWithinMs = 100;
// While it hangs it is asked this often, in the background: no request waits, or piles up commands that it would run later.
const askAgainMs = 200;

/** Asks nothing of Redis before `start`. */
export function openLimitStore(url: string, logger: Logger): LimitStore {
  const redis = new Redis(url, {
    lazyConnect: true,
    // Queued commands would be run late, when Redis is back, and count requests that were long answered.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Only so that what was never answered is forgotten one day. How long is waited is each caller's to say.
    commandTimeout: 5_000,
    connectTimeout: 500,
    disconnectTimeout: 100,
    // A host that is gone without a word never closes the connection; TCP would take 15 minutes to give up.
    socketTimeout: 2_000,
    retryStrategy: (attempts) => Math.min(100, 10 * attempts),
  });
  /** It is connected, but did not answer in time. */
  let isPaused = false;
  let failing = false;
  redis.on('error', (error) => {
    if (!failing) logger.warn({ err: error }, 'redis is gone: limits do without it until it is back');
    failing = true;
  });
  redis.on('ready', () => {
    if (failing) logger.info('redis is back: limits are shared again');
    failing = false;
    isPaused = false;
  });

  async function pause(): Promise<void> {
    if (isPaused) return;
    isPaused = true;
    while (isPaused && redis.status !== 'end') {
      try {
        await withTimeout(redis.ping(), answerWithinMs);
        isPaused = false;
      } catch {
        // It does not answer yet, or the connection is gone: that was logged.
        await delay(askAgainMs, undefined, { ref: false });
      }
    }
  }

  return {
    redis,
    async attempt(shared, otherwise, untilMs) {
      const leftMs = untilMs - performance.now();
      if (redis.status !== 'ready' || leftMs <= 0 || isPaused) return otherwise();
      try {
        return await withTimeout(shared(), leftMs);
      } catch (error) {
        if (!isPaused) logger.warn({ err: error }, 'redis did not answer: limits do without it until it does');
        void pause();
        return otherwise();
      }
    },
    start() {
      // What goes wrong is in the `error` event, and it is tried again.
      redis.connect().catch(() => {});
    },
    close() {
      redis.disconnect();
    },
  };
}
