import type { Database } from '@countersign/database';
import { sql, type Transaction } from 'kysely';
import { appRole, type UsersSchema } from './schema.ts';

export type Trx = Transaction<UsersSchema>;

/** Runs a transaction in one tenant, by default with the request role. All access to rows goes through here. */
export function inTenant<T>(
  db: Database<UsersSchema>,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
  role = appRole,
): Promise<T> {
  return db.transaction({ role, tenantId }, work);
}

/** Switches the transaction to another role. */
export async function actAs(trx: Trx, role: string): Promise<void> {
  await sql`select set_config('role', ${role}, true)`.execute(trx);
}
