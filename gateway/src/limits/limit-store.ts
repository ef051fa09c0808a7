import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis, type Logger, withTimeout } from '@countersign/service-kit';

export type LimitStore = ReturnType<typeof openLimitStore>;

/**
 * While Redis hangs, a request takes at most 300 ms longer: 100 here, 100 for the replay store, and the rest for
 * processing.
 */
export const redisTimeoutMs = 100;
// How often the gateway sends a PING in the background while Redis hangs. No request waits, and no command is queued.
const askAgainMs = 200;

/**
 * Redis for rate limits. No request waits longer than its deadline. After a timeout, Redis is skipped until it
 * responds again. Does not connect before `start`.
 */
export function openLimitStore(url: string, logger: Logger) {
  const options = { lazyConnect: true, disconnectTimeout: 100 };
  const redis = connectRedis(url, logger, options, {
    gone: 'Redis is unavailable: onStoreFailure applies to rate limits until Redis is back',
    back: 'Redis is available again: rate limits are shared',
  });
  /** The connection is open, but the last reply was late. */
  let isPaused = false;
  redis.on('ready', () => {
    isPaused = false;
  });

  async function pause(): Promise<void> {
    if (isPaused) return;
    isPaused = true;
    while (isPaused && redis.status !== 'end') {
      try {
        await withTimeout(redis.ping(), redisTimeoutMs);
        isPaused = false;
      } catch {
        // Redis has not replied yet, or the connection closed, which is logged elsewhere.
        await delay(askAgainMs, undefined, { ref: false });
      }
    }
  }

  return {
    redis,
    /**
     * Runs `shared` and, if Redis does not respond in time, `fallback`.
     *
     * @param untilMs A deadline on the `performance.now()` clock. It applies to the whole request, however many limits
     *   the
     *   request has.
     */
    async attempt<T>(shared: () => Promise<T>, fallback: () => Promise<T>, untilMs: number): Promise<T> {
      const leftMs = untilMs - performance.now();
      if (redis.status !== 'ready' || leftMs <= 0 || isPaused) return fallback();
      try {
        return await withTimeout(shared(), leftMs);
      } catch (error) {
        if (!isPaused)
          logger.warn({ err: error }, 'Redis timed out: onStoreFailure applies to rate limits until Redis responds');
        void pause();
        return fallback();
      }
    },
    /** Connects in the background, and keeps retrying. */
    start() {
      // Errors arrive in the `error` event, and the Redis client reconnects.
      redis.connect().catch(() => {});
    },
    close() {
      redis.disconnect();
    },
  };
}
