import { sql } from 'kysely';
import type { Status } from '../domain/complaints/workflow.ts';
import type { CountDeltas, Measured } from '../domain/statistics.ts';
import type { Trx } from './schema.ts';
import type { ComplaintsSchema } from './tables.ts';

export type StatusCount = Readonly<{ category_id: string; category: string; status: Status; complaints: number }>;

export async function readByStatus(trx: Trx): Promise<StatusCount[]> {
  const { rows } = await sql<StatusCount>`
    select category_id, name as category, status, complaints
    from statistics_by_status join categories using (tenant_id)
    where categories.id = category_id and complaints > 0
    order by name_key, status`.execute(trx);
  return rows;
}

export async function readByAge(trx: Trx): Promise<Readonly<{ filed_on: string; complaints: number }>[]> {
  const { rows } = await sql<{ filed_on: string; complaints: number }>`
    select filed_on::text, complaints from statistics_by_age where complaints > 0 order by filed_on`.execute(trx);
  return rows;
}

export type TimesOfMonth = Omit<ComplaintsSchema['statistics_times'], 'tenant_id' | 'category_id'>;

/** @param from The first day of the first month. */
export async function readTimes(trx: Trx, from: string): Promise<TimesOfMonth[]> {
  const { rows } = await sql<TimesOfMonth>`
    select month::text, measure, bucket, sum(complaints)::bigint as complaints, sum(seconds)::bigint as seconds,
      sum(with_target)::bigint as with_target, sum(on_time)::bigint as on_time
    from statistics_times where month >= ${from}::date
    group by month, measure, bucket order by month, measure, bucket`.execute(trx);
  return rows;
}

/**
 * Adds to a tenant's statistics, in the transaction of the change. Call this last, because the rows stay locked until
 * the commit and other changes in the tenant wait for them. Locks the rows in the order of their keys.
 */
export async function addToStatistics(
  trx: Trx,
  tenantId: string,
  { byStatus, byAge, times }: CountDeltas & Readonly<{ times: readonly Measured[] }>,
): Promise<void> {
  for (const { filed_on, by } of byAge) {
    await sql`
      insert into statistics_by_age values (${tenantId}, ${filed_on}, ${by})
      on conflict (tenant_id, filed_on)
      do update set complaints = statistics_by_age.complaints + excluded.complaints`.execute(trx);
  }
  const key = (each: (typeof byStatus)[number]) => `${each.category_id} ${each.status}`;
  for (const { category_id, status, by } of byStatus.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))) {
    await sql`
      insert into statistics_by_status values (${tenantId}, ${category_id}, ${status}, ${by})
      on conflict (tenant_id, category_id, status)
      do update set complaints = statistics_by_status.complaints + excluded.complaints`.execute(trx);
  }
  for (const { measure, month, category_id, bucket, seconds, onTime } of times) {
    await sql`
      insert into statistics_times
      values (${tenantId}, ${month}, ${measure}, ${category_id}, ${bucket}, 1, ${seconds},
        ${onTime === undefined ? 0 : 1}, ${onTime === true ? 1 : 0})
      on conflict (tenant_id, month, measure, category_id, bucket) do update set
        complaints = statistics_times.complaints + 1,
        seconds = statistics_times.seconds + excluded.seconds,
        with_target = statistics_times.with_target + excluded.with_target,
        on_time = statistics_times.on_time + excluded.on_time`.execute(trx);
  }
}
