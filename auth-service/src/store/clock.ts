import { sql } from 'kysely';
import type { Trx } from './scope.ts';

/** The current time on the database's clock, which all instances share. */
export const now = sql<Date>`clock_timestamp()`;

/** The time this many seconds after {@link now}, or before it if negative. */
export const inSeconds = (seconds: number) => sql<Date>`clock_timestamp() + make_interval(secs => ${seconds}::int)`;

/** Reads the database's clock, in whole milliseconds like a Date. */
export async function databaseNow(trx: Trx): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select date_trunc('milliseconds', clock_timestamp()) as now`.execute(trx);
  const [row] = rows;
  if (row === undefined) throw new Error('the database returned no time');
  return row.now;
}
