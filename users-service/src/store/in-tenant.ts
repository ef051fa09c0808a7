import type { Database } from '@countersign/database';
import type { Transaction } from 'kysely';
import { appRole, type UsersSchema } from './schema.ts';

/** The one way to the rows: one transaction, as the narrow role, in the tenant that the gateway signed for. */
export function inTenant<T>(
  db: Database<UsersSchema>,
  tenantId: string,
  work: (trx: Transaction<UsersSchema>) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: appRole, tenantId }, work);
}
