import { sql, type Transaction } from 'kysely';

/** Calls the listeners of a channel, in all instances, once this transaction commits. */
export async function notify<Schema>(trx: Transaction<Schema>, channel: string): Promise<void> {
  await sql`select pg_notify(${channel}, '')`.execute(trx);
}
