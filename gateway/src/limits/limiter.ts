import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Limit } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { LimitStore } from './limit-store.ts';

/** The result of taking from a bucket. A refusal is a value, not an error. */
export type LimitResult = Readonly<{ allowed: boolean; remaining: number; resetSec: number }>;

/** One limit of one route. */
export type Limiter = Readonly<{
  /**
   * Takes one request from the bucket of this key.
   *
   * @param untilMs Longest wait for Redis, on the clock of `performance.now()`; then `onStoreFailure` applies.
   * @throws AppError `limit_store_unavailable` if that is `deny`.
   */
  take(key: string, untilMs: number): Promise<LimitResult>;
}>;

/**
 * Counts in Redis if it is configured, so that all gateways share the limit, and otherwise in this process. While Redis
 * is down `onStoreFailure` applies. `local` counts in each process: the limit becomes one per process. `deny` refuses
 * with 503.
 *
 * A single command counts and sets the end of the window, so no key is left without an expiry.
 *
 * @param name Identifies the limit; unique in the configuration, without a colon.
 * @param maxLocalKeys Buckets held in this process. Beyond that, the least recently used one is dropped.
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
  const fallback =
    limit.onStoreFailure === 'deny'
      ? () => Promise.reject(new AppError('limit_store_unavailable', { detail: { limit: name } }))
      : (key: string) => take(local, key);
  return {
    take: (key, untilMs) =>
      store.attempt(
        () => take(shared, key),
        () => fallback(key),
        untilMs,
      ),
  };
}

type Consumer = Readonly<{ consume(key: string): Promise<RateLimiterRes> }>;

/**
 * The library keeps each bucket until its window ends. A client with a /32 of IPv6 could fill the memory, so the number
 * is bounded.
 */
function localLimiter(
  bucket: Readonly<{ points: number; duration: number; keyPrefix: string }>,
  max: number,
): Consumer {
  const limiter = new RateLimiterMemory(bucket);
  const held = new LRUCache<string, true>({
    // Not `max`: the cache would preallocate that many entries, 2.4 MB for each limit of each route.
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

async function take(limiter: Consumer, key: string): Promise<LimitResult> {
  try {
    return resultOf(await limiter.consume(key), true);
  } catch (refusal) {
    // The library throws its result when a bucket is empty, and an Error when its store failed.
    if (refusal instanceof RateLimiterRes) return resultOf(refusal, false);
    throw refusal;
  }
}

const resultOf = (result: RateLimiterRes, allowed: boolean): LimitResult => ({
  allowed,
  remaining: result.remainingPoints,
  resetSec: Math.max(1, Math.ceil(result.msBeforeNext / 1000)),
});

/** The limiters of one configuration, by name. */
export type Limiters = ReadonlyMap<string, Readonly<{ limit: Limit; limiter: Limiter }>>;

/**
 * Creates the limiters of a configuration. A limit that did not change keeps its limiter, and so its counts.
 *
 * @param before The limiters of the current configuration.
 */
export function createLimiters(
  store: LimitStore | undefined,
  before: Limiters | undefined,
): Readonly<{ limiters: Limiters; limiterFor(name: string, limit: Limit): Limiter }> {
  const limiters = new Map<string, Readonly<{ limit: Limit; limiter: Limiter }>>();
  return {
    limiters,
    limiterFor(name, limit) {
      const known = before?.get(name);
      const entry =
        known !== undefined && isDeepStrictEqual(known.limit, limit)
          ? known
          : { limit, limiter: createLimiter(name, limit, store) };
      limiters.set(name, entry);
      return entry.limiter;
    },
  };
}
