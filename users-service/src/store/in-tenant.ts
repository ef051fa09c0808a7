import type { Database } from '@countersign/database';
import { sql, type Transaction } from 'kysely';
import { appRole, newsRole, type UsersSchema } from './schema.ts';

/** The one way to the rows: one transaction, as the narrow role, in the tenant that the gateway signed for. */
export function inTenant<T>(
  db: Database<UsersSchema>,
  tenantId: string,
  work: (trx: Transaction<UsersSchema>) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: appRole, tenantId }, work);
}

/** As {@link inTenant}, for what the auth-service says: in the tenant that it names. */
export function inTenantOfNews<T>(
  db: Database<UsersSchema>,
  tenantId: string,
  work: (trx: Transaction<UsersSchema>) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: newsRole, tenantId }, work);
}

/** Runs part of a transaction as another role, then goes on as the role of requests. */
export async function actingAs<T>(trx: Transaction<UsersSchema>, role: string, work: () => Promise<T>): Promise<T> {
  await sql`select set_config('role', ${role}, true)`.execute(trx);
  const result = await work();
  await sql`select set_config('role', ${appRole}, true)`.execute(trx);
  return result;
}
