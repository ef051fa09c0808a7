import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis, type Logger, withTimeout } from '@countersign/service-kit';

export type LimitStore = ReturnType<typeof openLimitStore>;

/**
 * A request takes at most 300 ms longer while Redis hangs: 100 here, 100 for the replay store, and the rest for
 * processing.
 */
export const redisTimeoutMs = 100;
// While Redis hangs, it gets a PING this often in the background. No request waits or queues commands.
const askAgainMs = 200;

/**
 * Redis for limits. No request waits longer than its time limit, and after a timeout Redis is skipped until it responds
 * again. Does not connect before `start`.
 */
export function openLimitStore(url: string, logger: Logger) {
  const options = { lazyConnect: true, disconnectTimeout: 100 };
  const redis = connectRedis(url, logger, options, {
    gone: 'Redis is unavailable: onStoreFailure applies to limits until it is back',
    back: 'Redis is available again: limits are shared',
  });
  /** Connected, but the last reply was late. */
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
        // No reply yet, or the connection closed, which is logged elsewhere.
        await delay(askAgainMs, undefined, { ref: false });
      }
    }
  }

  return {
    redis,
    /**
     * Runs `shared` if Redis responds in time, otherwise `fallback`.
     *
     * @param untilMs On the clock of `performance.now()`. Bounds the wait of the whole request, however many limits it
     *   has.
     */
    async attempt<T>(shared: () => Promise<T>, fallback: () => Promise<T>, untilMs: number): Promise<T> {
      const leftMs = untilMs - performance.now();
      if (redis.status !== 'ready' || leftMs <= 0 || isPaused) return fallback();
      try {
        return await withTimeout(shared(), leftMs);
      } catch (error) {
        if (!isPaused)
          logger.warn({ err: error }, 'Redis timed out: onStoreFailure applies to limits until it responds');
        void pause();
        return fallback();
      }
    },
    /** Connects in the background, and keeps retrying. */
    start() {
      // Errors arrive in the `error` event, and the client reconnects.
      redis.connect().catch(() => {});
    },
    close() {
      redis.disconnect();
    },
  };
}
