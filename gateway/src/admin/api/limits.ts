import { z } from 'zod';
import type { LimitedCaller } from '../../metrics/refusal-counts.ts';
import { count, earliest, grouped, sum, time, timeOf } from './values.ts';
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
export type LimitedItem = z.output<typeof limited>;

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
  merge(parts) {
    const [first] = parts;
    if (first === undefined) throw new Error('no parts');
    const same = ({ route, limit, user_id, tenant_id, ip }: LimitedItem) =>
      [route, limit, user_id, tenant_id, ip].join(' ');
    const callers = grouped(
      parts.flatMap((part) => part.callers),
      same,
    ).map(mergeCaller);
    return {
      ...first,
      callers: callers.sort(byTime),
      redis: parts.find(({ redis }) => redis !== 'ready')?.redis ?? first.redis,
    };
  },
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

function mergeCaller(parts: readonly LimitedItem[]): LimitedItem {
  const [latest] = parts.toSorted((a, b) => (a.last < b.last ? 1 : -1));
  if (latest === undefined) throw new Error('no parts');
  return {
    ...latest,
    since: earliest(parts.map(({ since }) => since)),
    refused: sum(parts.map(({ refused }) => refused)),
    now: parts.some(({ now }) => now),
  };
}
