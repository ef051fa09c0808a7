import { z } from 'zod';
import { listOf, mergedBy, mergeMembers, newestFirst } from './merge.ts';
import { count, earliestTime, text, time, total } from './values.ts';

const limited = z
  .object({
    route: z.string(),
    limit: z.string().describe("The limit's name in the `ratelimit-policy` header, or `refused tokens`."),
    user_id: text,
    tenant_id: text,
    ip: text,
    since: earliestTime.describe('When the caller reached the limit.'),
    last: time,
    until: time.describe("When the caller's window ends."),
    refused: total,
    now: mergedBy(z.boolean(), (values) => values.includes(true)).describe('Whether the caller is still at the limit.'),
  })
  .meta({ id: 'LimitedCaller' });
mergedBy(limited, (same) => mergeMembers(limited, same.toSorted(newestFirst('last'))));
export type LimitedCaller = z.output<typeof limited>;

/** Sorts callers that are limited now first, then those that were refused most recently. */
export const limitedFirst = (a: LimitedCaller, b: LimitedCaller): number =>
  Number(b.now) - Number(a.now) || newestFirst('last')(a, b);

export const limitList = z.object({
  callers: listOf(
    limited,
    ({ route, limit, user_id, tenant_id, ip }) => [route, limit, user_id, tenant_id, ip].join(' '),
    limitedFirst,
  ),
  limits: z.array(
    z.object({ route: z.string(), requests: count, per_sec: count, by: z.string(), on_store_failure: z.string() }),
  ),
  counted_in: z.enum(['redis', 'process']),
  redis: mergedBy(text.clone(), (states) => states.find((state) => state !== 'ready') ?? states[0] ?? null).describe(
    'The state of the Redis connection. Null if Redis is not configured.',
  ),
});
