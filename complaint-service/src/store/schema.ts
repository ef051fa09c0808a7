import type { Database } from '@countersign/database';
import { sql, type Transaction } from 'kysely';
import type { Reader } from '../domain/access.ts';
import { appRole, membershipRole, readerRole } from './roles.ts';
import type { ComplaintsSchema } from './tables.ts';

export type ComplaintsDatabase = Database<ComplaintsSchema>;
export type Trx = Transaction<ComplaintsSchema>;

/** The user from the identity that the gateway signed. */
export type ScopeUser = Readonly<{ tenantId: string; userId: string; role: string }>;

/** Runs a transaction for a user. Row-level security limits what it can see and change. */
export function asUser<T>(
  db: ComplaintsDatabase,
  { tenantId, userId, role: userRole }: ScopeUser,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: appRole, tenantId, userId, userRole }, work);
}

/** Runs a transaction that reads complaints for a user or an OAuth client. The latter sees no other table. */
export function asReader<T>(db: ComplaintsDatabase, reader: Reader, work: (trx: Trx) => Promise<T>): Promise<T> {
  if (reader.kind === 'user') return asUser(db, reader, work);
  return db.transaction({ role: readerRole, tenantId: reader.tenantId }, work);
}

/** Runs a transaction for a membership update from the auth-service, in the tenant that the update names. */
export function asMembershipUpdater<T>(
  db: ComplaintsDatabase,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: membershipRole, tenantId }, work);
}

/** Switches the rest of a transaction to another user in the tenant, for rows by several people. */
export async function becomeUser(trx: Trx, { userId, role }: Omit<ScopeUser, 'tenantId'>): Promise<void> {
  await sql`select set_config('app.user_id', ${userId}, true), set_config('app.role', ${role}, true)`.execute(trx);
}
