import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Limit } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { LimitStore } from './limit-store.ts';

/** What one take from a bucket came to. A refusal is a value, not an error. */
export type Taken = Readonly<{ allowed: boolean; remaining: number; resetSec: number }>;

/** One limit of one route. */
export type Limiter = Readonly<{
  /**
   * Takes one request from the bucket of this key.
   *
   * @param untilMs How long it may wait for Redis, by `performance.now()`; then the limit's own policy answers.
   * @throws AppError `limit_store_unavailable` where that policy is `deny`.
   */
  take(key: string, untilMs: number): Promise<Taken>;
}>;

/**
 * Counts in Redis where there is one, so that all gateways share a limit, and in this process where there is none. While
 * Redis is gone `onStoreFailure` rules. `local`: each process counts for itself, so the limit becomes one per process; it does
 * not vanish, and nobody is locked out. `deny`: 503.
 *
 * One command counts and sets the end of the window, so no key is left without one.
 *
 * @param name Tells the limits apart; unique in the configuration, without a colon.
 * @param maxLocalKeys Buckets held in this process. Beyond them the one that was longest unused is forgotten.
 */
export function createLimiter(
  name: string,
  limit: Limit,
  store: LimitStore | undefined,
  maxLocalKeys = 100_000,
): Limiter {
  const bucket = { points: limit.requests, duration: limit.perSec, keyPrefix: name };
  const local = localLimiter(bucket, maxLocalKeys);
  if (store === undefined) return { take: (key) => take(local, key) };

  const shared = new RateLimiterRedis({
    ...bucket,
    keyPrefix: `countersign:limit:${name}`,
    storeClient: store.redis,
    rejectIfRedisNotReady: true,
  });
  const otherwise =
    limit.onStoreFailure === 'deny'
      ? () => Promise.reject(new AppError('limit_store_unavailable', { detail: { limit: name } }))
      : (key: string) => take(local, key);
  return {
    take: (key, untilMs) =>
      store.attempt(
        () => take(shared, key),
        () => otherwise(key),
        untilMs,
      ),
  };
}

type Consumer = Readonly<{ consume(key: string): Promise<RateLimiterRes> }>;

/** The library holds a bucket for every key until its window ends: whoever has a /32 of IPv6 could fill the memory with a day's. */
function localLimiter(
  bucket: Readonly<{ points: number; duration: number; keyPrefix: string }>,
  max: number,
): Consumer {
  const limiter = new RateLimiterMemory(bucket);
  const held = new LRUCache<string, true>({
    // Not `max`: the cache would allocate room for that many at once, 2.4 MB for each limit of each route.
    maxSize: max,
    sizeCalculation: () => 1,
    dispose(_held, key, reason) {
      if (reason === 'evict') void limiter.delete(key);
    },
  });
  return {
    consume(key) {
      held.set(key, true);
      return limiter.consume(key);
    },
  };
}

async function take(limiter: Consumer, key: string): Promise<Taken> {
  try {
    return takenOf(await limiter.consume(key), true);
  } catch (refusal) {
    // The library throws its result when a bucket is empty, and an Error when its store failed.
    if (refusal instanceof RateLimiterRes) return takenOf(refusal, false);
    throw refusal;
  }
}

const takenOf = (result: RateLimiterRes, allowed: boolean): Taken => ({
  allowed,
  remaining: result.remainingPoints,
  resetSec: Math.max(1, Math.ceil(result.msBeforeNext / 1000)),
});
