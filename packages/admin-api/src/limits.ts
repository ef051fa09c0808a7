import { z } from 'zod';
import { listOf, mergedBy, mergeMembers, newestFirst } from './merge.ts';
import { count, earliestTime, text, time, total } from './values.ts';

const limited = z
  .object({
    route: z.string(),
    limit: z.string().describe('Its name in the `ratelimit-policy` header, or `refused tokens`.'),
    user_id: text,
    tenant_id: text,
    ip: text,
    since: earliestTime.describe('When it reached the limit.'),
    last: time,
    until: time.describe('When its window ends.'),
    refused: total,
    now: mergedBy(z.boolean(), (values) => values.includes(true)).describe('Whether its window has not ended yet.'),
  })
  .meta({ id: 'LimitedCaller' });
mergedBy(limited, (same) => mergeMembers(limited, same.toSorted(newestFirst('last'))));
export type LimitedCaller = z.output<typeof limited>;

/** Callers that are limited now come first, then the most recently refused. */
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
    'The state of the connection. Null if Redis is not configured.',
  ),
});
