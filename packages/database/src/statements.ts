import { sql, type Transaction } from 'kysely';

/** Calls a channel's listeners in all instances when this transaction commits. */
export async function notify<Schema>(trx: Transaction<Schema>, channel: string): Promise<void> {
  await sql`select pg_notify(${channel}, '')`.execute(trx);
}

/** Counts the rows: `const { count } = await query.select(countRows).executeTakeFirstOrThrow()`. */
export const countRows = sql<number>`count(*)::int`.as('count');
