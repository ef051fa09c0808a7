import { sql, type Transaction } from 'kysely';

/** Calls the listeners of a channel, in all instances, once this transaction commits. */
export async function notify<Schema>(trx: Transaction<Schema>, channel: string): Promise<void> {
  await sql`select pg_notify(${channel}, '')`.execute(trx);
}

/** Selects the number of rows: `const { count } = await query.select(countRows).executeTakeFirstOrThrow()`. */
export const countRows = sql<number>`count(*)::int`.as('count');
