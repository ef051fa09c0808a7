import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis, type Logger, widerKey, withTimeout } from '@countersign/process-kit';
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Limit } from '../config/config.ts';
import { AppError } from '../errors.ts';

export type Limiter = Readonly<{
  /** A promise only with Redis, until `untilMs` on `performance.now()`. Throws `limit_store_unavailable`. */
  take(key: string, untilMs: number): LimitResult | Promise<LimitResult>;
}>;

/**
 * Counts requests in Redis if it is configured, so that all gateways share the limit, and otherwise in this process.
 * While Redis is down, `onStoreFailure` applies: `local` counts in each process, so that the limit becomes one per
 * process, and `deny` refuses with 503.
 *
 * One Redis command counts the request and sets when the window ends, so no key stays without an expiry.
 *
 * @param name Identifies the limit. Unique in the configuration, without a colon.
 * @param maxLocalKeys How many buckets this process holds. Beyond that, it drops the least recently used bucket.
 */
export function createLimiter(
  name: string,
  limit: Limit,
  store: LimitStore | undefined,
  maxLocalKeys = 100_000,
): Limiter {
  const local = new LocalLimiter(limit, maxLocalKeys);
  if (store === undefined) return local;

  const shared = new RateLimiterRedis({
    points: limit.requests,
    duration: limit.perSec,
    keyPrefix: `countersign:limit:${name}`,
    storeClient: store.redis,
    rejectIfRedisNotReady: true,
  });
  const fallback =
    limit.onStoreFailure === 'deny'
      ? () => Promise.reject(new AppError('limit_store_unavailable', { detail: { limit: name } }))
      : async (key: string) => local.take(key);
  return {
    take: (key, untilMs) =>
      store.attempt(
        () => takeShared(shared, key),
        () => fallback(key),
        untilMs,
      ),
  };
}

async function takeShared(limiter: RateLimiterRedis, key: string): Promise<LimitResult> {
  try {
    return resultOf(await limiter.consume(key), true);
  } catch (refusal) {
    // The library throws its result if a bucket is empty, and an Error if its store failed.
    if (refusal instanceof RateLimiterRes) return resultOf(refusal, false);
    throw refusal;
  }
}

const resultOf = (result: RateLimiterRes, allowed: boolean): LimitResult => ({
  allowed,
  remaining: result.remainingPoints,
  resetSec: Math.max(1, Math.ceil(result.msBeforeNext / 1000)),
});

/** A configuration's limiters, by their names and limits. */
export type Limiters = ReadonlyMap<string, Limiter>;

/** A limit that did not change keeps its limiter and its counts. */
export function createLimiters(store: LimitStore | undefined, before: Limiters | undefined) {
  const limiters = new Map<string, Limiter>();
  return {
    limiters,
    limiterFor(name: string, limit: Limit): Limiter {
      const key = `${name} ${JSON.stringify(limit)}`;
      const limiter = before?.get(key) ?? createLimiter(name, limit, store);
      limiters.set(key, limiter);
      return limiter;
    },
  };
}

/** The result of taking a request from a bucket. A refusal is a value, not an error. */
export type LimitResult = Readonly<{ allowed: boolean; remaining: number; resetSec: number }>;

type Bucket = { readonly key: string; taken: number; endsAtMs: number };

/**
 * Counts requests in this process. A key's window begins with its first request and has a fixed length.
 *
 * A client with an IPv6 /32 could fill the memory with keys, so their number is limited. Buckets whose window has
 * ended are dropped too, the least recently used ones first.
 *
 * @param maxKeys How many buckets to keep. Beyond that, new IPv6 addresses are counted by /48, and the least recently
 *   used bucket is dropped.
 * @param nowMs Whole milliseconds on a monotonic clock. Default: `performance.now`.
 */
export class LocalLimiter implements Limiter {
  readonly #requests: number;
  readonly #windowMs: number;
  readonly #maxKeys: number;
  readonly #nowMs: () => number;
  /** The least recently used bucket comes first. */
  readonly #buckets = new Map<string, Bucket>();
  #newest: Bucket | undefined;

  constructor({ requests, perSec }: Pick<Limit, 'requests' | 'perSec'>, maxKeys: number, nowMs = wholeMs) {
    this.#requests = requests;
    this.#windowMs = perSec * 1000;
    this.#maxKeys = maxKeys;
    this.#nowMs = nowMs;
  }

  take(key: string): LimitResult {
    const now = this.#nowMs();
    const bucket = this.#find(key) ?? this.#open(key, now);
    if (bucket !== this.#newest) {
      this.#buckets.delete(bucket.key);
      this.#buckets.set(bucket.key, bucket);
      this.#newest = bucket;
    }
    if (bucket.endsAtMs <= now) {
      bucket.taken = 0;
      bucket.endsAtMs = now + this.#windowMs;
    }
    bucket.taken += 1;
    return {
      allowed: bucket.taken <= this.#requests,
      remaining: Math.max(0, this.#requests - bucket.taken),
      resetSec: Math.max(1, Math.ceil((bucket.endsAtMs - now) / 1000)),
    };
  }

  /** @returns Whole seconds until this bucket allows a request again, or 0. Takes no request. */
  waitSec(key: string): number {
    const bucket = this.#find(key);
    if (bucket === undefined || bucket.taken < this.#requests) return 0;
    return Math.max(0, Math.ceil((bucket.endsAtMs - this.#nowMs()) / 1000));
  }

  #find(key: string): Bucket | undefined {
    return this.#buckets.get(key) ?? (this.#isFull() ? this.#buckets.get(widerKey(key)) : undefined);
  }

  #open(key: string, now: number): Bucket {
    // Removes up to two ended windows for each new window, so that they never accumulate.
    for (let count = 0; count < 2; count += 1) this.#dropOldest(now);
    const endsAtMs = now + this.#windowMs;
    if (!this.#isFull()) return { key, taken: 0, endsAtMs };
    this.#dropOldest(Number.POSITIVE_INFINITY);
    return { key: widerKey(key), taken: 0, endsAtMs };
  }

  #isFull(): boolean {
    return this.#buckets.size >= this.#maxKeys;
  }

  /** Drops the least recently used bucket if its window ends before this time. */
  #dropOldest(byMs: number): void {
    const [oldest] = this.#buckets.values();
    if (oldest !== undefined && oldest.endsAtMs <= byMs) this.#buckets.delete(oldest.key);
  }
}

const wholeMs = (): number => Math.floor(performance.now());

type LimitStore = ReturnType<typeof openLimitStore>;

/** A request takes at most 300 ms longer: 100 here, 100 for the replay store, and the rest for processing. */
export const redisTimeoutMs = 100;
// How often the gateway sends a PING in the background while Redis hangs. No request waits, and no command is queued.
const askAgainMs = 200;

/** No request waits longer than its deadline. After a timeout, Redis is skipped until it responds again. */
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
    /** Runs `fallback` if Redis does not reply by `untilMs` on `performance.now()`: one deadline a request. */
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
    start() {
      // Errors arrive in the `error` event, and the Redis client reconnects.
      redis.connect().catch(() => {});
    },
    close() {
      redis.disconnect();
    },
  };
}
