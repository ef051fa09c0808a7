import { sql } from 'kysely';
import type { Status } from '../../domain/complaints/workflow.ts';
import type { Trx } from '../scope.ts';

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

export type TimesOfMonth = Readonly<{
  month: string;
  measure: 'first_answer' | 'resolution';
  bucket: number;
  complaints: number;
  seconds: number;
  with_target: number;
  on_time: number;
}>;

/** @param from The first month, as its first day. */
export async function readTimes(trx: Trx, from: string): Promise<TimesOfMonth[]> {
  const { rows } = await sql<TimesOfMonth>`
    select month::text, measure, bucket, sum(complaints)::bigint as complaints, sum(seconds)::bigint as seconds,
      sum(with_target)::bigint as with_target, sum(on_time)::bigint as on_time
    from statistics_times where month >= ${from}::date
    group by month, measure, bucket order by month, measure, bucket`.execute(trx);
  return rows;
}
