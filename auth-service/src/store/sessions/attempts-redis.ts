import { withTimeout } from '@countersign/service-kit';
import type { Redis } from 'ioredis';
import type { Attempts } from './attempts.ts';

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
