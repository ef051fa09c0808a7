import { wholeNumberField } from '@countersign/service-kit';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { activeStatuses } from '../../domain/complaints/workflow.ts';
import { ageClasses } from '../../domain/statistics/report.ts';
import { timeBoundsSec } from '../../domain/statistics/rollups.ts';
import { asUser } from '../../store/scope.ts';
import {
  readByAge,
  readByStatus,
  readTimes,
  type StatusCount,
  type TimesOfMonth,
} from '../../store/statistics/statistics.ts';
import { route } from '../route.ts';
import { status } from './complaint-json.ts';

const count = z.int();

const times = z
  .object({
    month: z.iso.date().describe('The first day of the month (UTC) in which the clocks stopped.'),
    complaints: count,
    mean_seconds: z.int(),
    with_target: count.describe('How many complaints had a target.'),
    on_time: count.describe('How many of these complaints met their target.'),
    classes: z.array(z.object({ from_seconds: z.int(), to_seconds: z.int().nullable(), complaints: count })),
  })
  .meta({ id: 'TimesOfMonth' });

const statistics = z
  .object({
    complaints: count,
    active: count,
    by_status: z.array(z.object({ status, complaints: count })),
    by_category: z.array(z.object({ category_id: z.uuid(), category: z.string(), complaints: count, active: count })),
    by_age: z
      .array(z.object({ from_days: z.int(), to_days: z.int().nullable(), complaints: count }))
      .describe('Active complaints by days since they were filed.'),
    first_answer: z.array(times).describe('Times from the filing to the first answer.'),
    resolution: z.array(times).describe('Times from the filing, or the last reopening, to each resolution.'),
  })
  .meta({ id: 'Statistics' });

/** Every change to a complaint updates the statistics in its own transaction. */
export const statisticsRoutes = [
  route({
    method: 'get',
    path: '/v1/complaints/statistics',
    operationId: 'readStatistics',
    tag: 'Statistics',
    summary: "Read the tenant's statistics",
    callers: ['user'],
    roles: staffRoles,
    query: z.strictObject({
      months: wholeNumberField({ min: 1, max: 120 })
        .default(12)
        .describe('How many months of response times to report.'),
    }),
    responses: { 200: statistics },
    errors: [],
  }).handle(async ({ identity, query, reply }, { db, now }) => {
    const at = now();
    const from = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - query.months + 1))
      .toISOString()
      .slice(0, 10);
    const { byStatus, byAge, ended } = await asUser(db, identity, async (trx) => ({
      byStatus: await readByStatus(trx),
      byAge: await readByAge(trx),
      ended: await readTimes(trx, from),
    }));
    const sum = (rows: readonly StatusCount[]) => rows.reduce((total, { complaints }) => total + complaints, 0);
    const active = (rows: readonly StatusCount[]) => sum(rows.filter((row) => activeStatuses.includes(row.status)));
    reply(200, {
      complaints: sum(byStatus),
      active: active(byStatus),
      by_status: [...Map.groupBy(byStatus, (row) => row.status)].map(([status, rows]) => ({
        status,
        complaints: sum(rows),
      })),
      by_category: [...Map.groupBy(byStatus, (row) => row.category_id)].map(([category_id, rows]) => ({
        category_id,
        category: rows[0]?.category ?? '',
        complaints: sum(rows),
        active: active(rows),
      })),
      by_age: ageClasses(byAge, at),
      first_answer: timesOf(ended, 'first_answer'),
      resolution: timesOf(ended, 'resolution'),
    });
  }),
];

function timesOf(rows: readonly TimesOfMonth[], measure: TimesOfMonth['measure']): z.output<typeof times>[] {
  const months = Map.groupBy(
    rows.filter((row) => row.measure === measure),
    (row) => row.month,
  );
  return [...months].map(([month, ofMonth]) => {
    const sum = (of: 'complaints' | 'seconds' | 'with_target' | 'on_time') =>
      ofMonth.reduce((total, row) => total + row[of], 0);
    return {
      month,
      complaints: sum('complaints'),
      mean_seconds: Math.round(sum('seconds') / Math.max(1, sum('complaints'))),
      with_target: sum('with_target'),
      on_time: sum('on_time'),
      classes: [0, ...timeBoundsSec].map((from, bucket) => ({
        from_seconds: from,
        to_seconds: timeBoundsSec[bucket] ?? null,
        complaints: ofMonth.find((row) => row.bucket === bucket)?.complaints ?? 0,
      })),
    };
  });
}
