import type { Database } from '@countersign/database';
import type { Transaction } from 'kysely';
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
