import { type Logger, withTimeout } from '@countersign/process-kit';
import type { Redis } from 'ioredis';
import { sql } from 'kysely';
import { type AuthDatabase, roles } from '../transaction.ts';

/** A counter's key and window. The window begins with the first attempt. */
type Counted = Readonly<{ key: string; windowSec: number }>;

/** A counter's count in the current window, and the time until the window ends. */
export type Count = Readonly<{ count: number; resetsInSec: number }>;

/** Counts attempts. Each operation is atomic, so that parallel guesses all count (GHSA-7h8m-vrxx-vr4m). */
export type Attempts = Readonly<{
  /** Increments the counters. @returns The counts in the same order. */
  add(limits: readonly Counted[]): Promise<readonly Count[]>;
  /** Takes back an attempt that was not a guess. */
  takeBack(limits: readonly Counted[]): Promise<void>;
  clear(counted: Counted): Promise<void>;
}>;

const leftAloneMs = 1_000;

/**
 * Counts in the second store while the first store fails, so that attempts are always limited. After a failure it skips
 * the first store for a second and then retries with one operation. Otherwise every operation of a login would wait for
 * a Redis that hangs.
 *
 * @param nowMs A monotonic clock.
 */
export function withFallback(
  first: Attempts,
  second: Attempts,
  logger: Logger,
  nowMs: () => number = () => performance.now(),
): Attempts {
  /** Undefined while the first store works. */
  let failingUntilMs: number | undefined;
  const either = async <T>(use: (store: Attempts) => Promise<T>): Promise<T> => {
    if (failingUntilMs !== undefined) {
      if (nowMs() < failingUntilMs) return use(second);
      failingUntilMs = nowMs() + leftAloneMs;
    }
    try {
      const result = await use(first);
      failingUntilMs = undefined;
      return result;
    } catch (error) {
      failingUntilMs = nowMs() + leftAloneMs;
      logger.warn({ err: error }, 'Redis does not respond; attempts are counted in the database');
      return use(second);
    }
  };
  return {
    add: (limits) => either((store) => store.add(limits)),
    takeBack: (limits) => either((store) => store.takeBack(limits)),
    clear: (limit) => either((store) => store.clear(limit)),
  };
}

/** Counts in the database. The counts survive a restart, and all instances share them. */
export function databaseAttempts(db: AuthDatabase): Attempts {
  const scope = { role: roles.login };
  return {
    async add(limits) {
      // Locks the rows in a fixed order, so that two requests that share keys do not deadlock.
      const ordered = [...limits].sort((a, b) => (a.key < b.key ? -1 : 1));
      const counted = await db.transaction(scope, async (trx) => {
        const counts = new Map<string, Count>();
        for (const { key, windowSec } of ordered) {
          const { rows } = await sql<Count>`
            insert into login_attempts as a (key, count, window_ends_at)
            values (${key}, 1, clock_timestamp() + make_interval(secs => ${windowSec}::int))
            on conflict (key) do update set
              count = case when a.window_ends_at <= clock_timestamp() then 1 else a.count + 1 end,
              window_ends_at = case when a.window_ends_at <= clock_timestamp()
                then excluded.window_ends_at else a.window_ends_at end
            returning count,
              greatest(1, ceil(extract(epoch from window_ends_at - clock_timestamp())))::int as "resetsInSec"
          `.execute(trx);
          for (const row of rows) counts.set(key, row);
        }
        return counts;
      });
      return limits.map(({ key }) => counted.get(key) ?? { count: 0, resetsInSec: 0 });
    },
    async takeBack(limits) {
      const keys = limits.map(({ key }) => key).sort();
      await db.transaction(scope, async (trx) => {
        for (const key of keys) {
          await trx
            .updateTable('login_attempts')
            .set({ count: sql<number>`greatest(0, count - 1)` })
            .where('key', '=', key)
            .execute();
        }
      });
    },
    async clear({ key }) {
      await db.transaction(scope, (trx) => trx.deleteFrom('login_attempts').where('key', '=', key).execute());
    },
  };
}

const prefix = 'countersign:auth:attempts:';

// KEYS are the counters, ARGV their windows in milliseconds. A window begins with its first attempt.
const addScript = `
local answer = {}
for i, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('PEXPIRE', key, ARGV[i]) end
  answer[#answer + 1] = count
  answer[#answer + 1] = redis.call('PTTL', key)
end
return answer`;

// Must not recreate an expired key, which would get the count -1 and no expiry.
const takeBackScript = `
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end`;

// While Redis hangs, one login per second waits this long.
const answerWithinMs = 200;
const answer = <T>(command: Promise<T>) => withTimeout(command, answerWithinMs);

/** Counts in Redis with one round trip. All instances share the counts. */
export function redisAttempts(redis: Redis): Attempts {
  return {
    async add(limits) {
      const keys = limits.map(({ key }) => prefix + key);
      const windows = limits.map(({ windowSec }) => windowSec * 1000);
      const flat = (await answer(redis.eval(addScript, keys.length, ...keys, ...windows))) as number[];
      return limits.map((_, index) => ({
        count: flat[2 * index] ?? 0,
        resetsInSec: Math.max(1, Math.ceil((flat[2 * index + 1] ?? 0) / 1000)),
      }));
    },
    async takeBack(limits) {
      const keys = limits.map(({ key }) => prefix + key);
      await answer(redis.eval(takeBackScript, keys.length, ...keys));
    },
    async clear({ key }) {
      await answer(redis.del(prefix + key));
    },
  };
}
