import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Limit } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { LimitStore } from './limit-store.ts';

/** One limit of one route. */
export type Limiter = Readonly<{
  /**
   * Takes one request from the bucket of this key. Returns a promise only with Redis.
   *
   * @param untilMs The deadline for Redis, on the `performance.now()` clock. After it, `onStoreFailure` applies.
   * @throws AppError `limit_store_unavailable` if `onStoreFailure` is `deny`.
   */
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

/**
 * Creates a configuration's limiters. A limit that did not change keeps its limiter and its counts.
 *
 * @param before The limiters of the current configuration.
 */
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

/** The requests of one key in its current window. */
type Bucket = { readonly key: string; taken: number; endsAtMs: number };

/**
 * Counts requests in this process. A key's window begins with its first request and has a fixed length.
 *
 * A client with an IPv6 /32 could fill the memory with keys, so their number is limited. Buckets whose window has
 * ended are dropped too, the least recently used ones first.
 *
 * @param maxKeys How many buckets to keep. Beyond that, the least recently used bucket is dropped.
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
    const bucket = this.#buckets.get(key) ?? this.#open(key, now);
    if (bucket !== this.#newest) {
      this.#buckets.delete(key);
      this.#buckets.set(key, bucket);
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

  /**
   * Says how long to wait, without taking a request.
   *
   * @returns Whole seconds until this bucket allows a request again, or 0.
   */
  waitSec(key: string): number {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined || bucket.taken < this.#requests) return 0;
    return Math.max(0, Math.ceil((bucket.endsAtMs - this.#nowMs()) / 1000));
  }

  #open(key: string, now: number): Bucket {
    // Removes up to two ended windows for each new window, so that they never accumulate.
    for (let count = 0; count < 2; count += 1) this.#dropOldest(now);
    if (this.#buckets.size >= this.#maxKeys) this.#dropOldest(Number.POSITIVE_INFINITY);
    return { key, taken: 0, endsAtMs: now + this.#windowMs };
  }

  /** Drops the least recently used bucket if its window ends before this time. */
  #dropOldest(byMs: number): void {
    const [oldest] = this.#buckets.values();
    if (oldest !== undefined && oldest.endsAtMs <= byMs) this.#buckets.delete(oldest.key);
  }
}

const wholeMs = (): number => Math.floor(performance.now());
