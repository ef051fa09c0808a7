import { sql } from 'kysely';
import type { Trx } from './scope.ts';

/** The time by the database's clock, which all instances share, in whole milliseconds like a Date. */
export async function databaseNow(trx: Trx): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select date_trunc('milliseconds', clock_timestamp()) as now`.execute(trx);
  const [row] = rows;
  if (row === undefined) throw new Error('the database returned no time');
  return row.now;
}
