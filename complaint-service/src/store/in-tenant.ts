import type { Database } from '@countersign/database';
import type { Transaction } from 'kysely';
import { appRole, type ComplaintsSchema } from './schema.ts';

export type Trx = Transaction<ComplaintsSchema>;

/** Runs one transaction with the request role, in the tenant that the gateway signed. All access to rows goes through here. */
export function inTenant<T>(
  db: Database<ComplaintsSchema>,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: appRole, tenantId }, work);
}
