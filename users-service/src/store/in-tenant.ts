import type { Database } from '@countersign/database';
import { sql, type Transaction } from 'kysely';
import { appRole, membershipRole, type UsersSchema } from './schema.ts';

/**
 * Runs a transaction with the request role, in the tenant of the signed identity. All access to rows goes through here.
 */
export function inTenant<T>(
  db: Database<UsersSchema>,
  tenantId: string,
  work: (trx: Transaction<UsersSchema>) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: appRole, tenantId }, work);
}

/** Like {@link inTenant}, for a membership update from the auth-service, in the tenant that the update names. */
export function inTenantOfUpdate<T>(
  db: Database<UsersSchema>,
  tenantId: string,
  work: (trx: Transaction<UsersSchema>) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: membershipRole, tenantId }, work);
}

/** Runs part of a transaction as another role, then returns to the request role. */
export async function actingAs<T>(trx: Transaction<UsersSchema>, role: string, work: () => Promise<T>): Promise<T> {
  await sql`select set_config('role', ${role}, true)`.execute(trx);
  const result = await work();
  await sql`select set_config('role', ${appRole}, true)`.execute(trx);
  return result;
}
