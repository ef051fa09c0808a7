import { type Answers, type LimitedCaller as LimitedItem, limitedFirst } from '@countersign/admin-api';
import type { LimitedCaller } from '../../metrics/refusal-counts.ts';
import { timeOf } from '../describe.ts';
import type { ConsoleSources } from './sources.ts';

export function readLimits({ traffic, current, redisStatus, nowMs }: ConsoleSources): Answers['/api/limits'] {
  const redis = redisStatus() ?? null;
  return {
    callers: traffic.refusals
      .limited()
      .map((caller) => itemOf(caller, nowMs()))
      .sort(limitedFirst),
    limits: current().config.routes.flatMap(({ name: route, limits }) =>
      limits.map(({ requests, perSec, by, onStoreFailure }) => ({
        ...{ route, requests, per_sec: perSec, by, on_store_failure: onStoreFailure },
      })),
    ),
    counted_in: redis === null ? 'process' : 'redis',
    redis,
  };
}

const itemOf = ({ route, limit, refused, ...caller }: LimitedCaller, nowMs: number): LimitedItem => ({
  route,
  limit,
  user_id: caller.userId ?? null,
  tenant_id: caller.tenantId ?? null,
  ip: caller.address ?? null,
  since: timeOf(caller.sinceMs),
  last: timeOf(caller.lastMs),
  until: timeOf(caller.untilMs),
  refused,
  now: nowMs < caller.untilMs,
});
