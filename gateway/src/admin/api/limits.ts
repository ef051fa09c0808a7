import { z } from 'zod';
import type { LimitedCaller } from '../../metrics/refusal-counts.ts';
import { any, byName, combine, earliest, newestFirst, type Rule, sum } from './merge.ts';
import { count, time, timeOf } from './values.ts';
import { defineView } from './view.ts';

const text = z.string().nullable();

const limited = z
  .object({
    route: z.string(),
    limit: z.string().describe('Its name in the `ratelimit-policy` header, or `refused tokens`.'),
    user_id: text,
    tenant_id: text,
    ip: text,
    since: time.describe('Its first refusal since it was last below the limit.'),
    last: time,
    until: time.describe('When its window ends.'),
    refused: count,
    now: z.boolean().describe('Whether its window has not ended yet.'),
  })
  .meta({ id: 'LimitedCaller' });
type LimitedItem = z.output<typeof limited>;

const limitList = z.object({
  callers: z.array(limited),
  limits: z.array(
    z.object({ route: z.string(), requests: count, per_sec: count, by: z.string(), on_store_failure: z.string() }),
  ),
  counted_in: z.enum(['redis', 'process']),
  redis: text.describe('The state of the connection. Null: not configured.'),
});

export const limitsView = defineView({
  path: '/limits',
  operationId: 'listLimits',
  tag: 'State',
  summary: 'Rate limits, and the callers that they refuse now or refused lately',
  response: limitList,
  read({ traffic: { refusals }, current, redisStatus, nowMs }) {
    const redis = redisStatus() ?? null;
    return {
      callers: refusals
        .limited()
        .map((caller) => itemOf(caller, nowMs()))
        .sort(byTime),
      limits: current().config.routes.flatMap(({ name, limits }) =>
        limits.map(({ requests, perSec, by, onStoreFailure }) => ({
          route: name,
          requests,
          per_sec: perSec,
          by,
          on_store_failure: onStoreFailure,
        })),
      ),
      counted_in: redis === null ? ('process' as const) : ('redis' as const),
      redis,
    };
  },
  merge: combine({
    callers: (lists) => mergeCallers(lists).sort(byTime),
    redis: (states) => states.find((state) => state !== 'ready') ?? states[0] ?? null,
  }),
});

const byTime = (a: LimitedItem, b: LimitedItem): number => Number(b.now) - Number(a.now) || (a.last < b.last ? 1 : -1);

const itemOf = (caller: LimitedCaller, nowMs: number): LimitedItem => ({
  route: caller.route,
  limit: caller.limit,
  user_id: caller.userId ?? null,
  tenant_id: caller.tenantId ?? null,
  ip: caller.address ?? null,
  since: timeOf(caller.sinceMs),
  last: timeOf(caller.lastMs),
  until: timeOf(caller.untilMs),
  refused: caller.refused,
  now: nowMs < caller.untilMs,
});

const mergeCallers: Rule<LimitedItem[]> = byName(
  ({ route, limit, user_id, tenant_id, ip }) => [route, limit, user_id, tenant_id, ip].join(' '),
  (same) => combine<LimitedItem>({ since: earliest, refused: sum, now: any })(same.toSorted(newestFirst('last'))),
);
