import type { Limit } from '../config/config.ts';

/** The result of taking from a bucket. A refusal is a value, not an error. */
export type LimitResult = Readonly<{ allowed: boolean; remaining: number; resetSec: number }>;

/** The requests of one key in its current window. Buckets form a list, ordered by their last use. */
type Bucket = {
  readonly key: string;
  taken: number;
  endsAtMs: number;
  older: Bucket | undefined;
  newer: Bucket | undefined;
};

/**
 * Counts in this process. The window of a key begins with its first request, and has a fixed length.
 *
 * A client with a /32 of IPv6 could fill the memory with keys, so their number is bounded. Buckets whose window has
 * ended are dropped too, the least recently used ones first.
 *
 * @param maxKeys Beyond that, the least recently used bucket is dropped.
 * @param nowMs Whole milliseconds of a monotonic clock. Default: those of `performance.now`.
 */
export function createLocalLimiter(
  { requests, perSec }: Pick<Limit, 'requests' | 'perSec'>,
  maxKeys: number,
  nowMs: () => number = () => Math.floor(performance.now()),
): Readonly<{ take(key: string): LimitResult }> {
  const buckets = new Map<string, Bucket>();
  let oldest: Bucket | undefined;
  let newest: Bucket | undefined;

  function unlink({ older, newer }: Bucket): void {
    if (older === undefined) oldest = newer;
    else older.newer = newer;
    if (newer === undefined) newest = older;
    else newer.older = older;
  }

  function append(bucket: Bucket): void {
    bucket.older = newest;
    bucket.newer = undefined;
    if (newest === undefined) oldest = bucket;
    else newest.newer = bucket;
    newest = bucket;
  }

  function dropOldest(mustDrop: (bucket: Bucket) => boolean): void {
    if (oldest === undefined || !mustDrop(oldest)) return;
    buckets.delete(oldest.key);
    unlink(oldest);
  }

  function open(key: string, now: number): Bucket {
    // Two for each new one, so that ended windows never accumulate.
    for (let count = 0; count < 2; count += 1) dropOldest(({ endsAtMs }) => endsAtMs <= now);
    if (buckets.size >= maxKeys) dropOldest(() => true);
    const bucket: Bucket = { key, taken: 0, endsAtMs: now + perSec * 1000, older: undefined, newer: undefined };
    buckets.set(key, bucket);
    append(bucket);
    return bucket;
  }

  return {
    take(key) {
      const now = nowMs();
      const bucket = buckets.get(key) ?? open(key, now);
      if (bucket !== newest) {
        unlink(bucket);
        append(bucket);
      }
      if (bucket.endsAtMs <= now) {
        bucket.taken = 0;
        bucket.endsAtMs = now + perSec * 1000;
      }
      bucket.taken += 1;
      return {
        allowed: bucket.taken <= requests,
        remaining: Math.max(0, requests - bucket.taken),
        resetSec: Math.max(1, Math.ceil((bucket.endsAtMs - now) / 1000)),
      };
    },
  };
}
