import { adminRole } from '../../domain/accounts/account-rules.ts';
import { AppError } from '../../errors.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import { holdsRole } from '../../store/tenants/members.ts';

export type Admin = Readonly<{ tenantId: string; userId: string; sessionId: string | null; requestId: string }>;

/**
 * Runs a transaction in the tenant with the `accounts` database role. Locks the membership and checks it again, because
 * the administrator may just have lost the role.
 *
 * @throws AppError `insufficient_role`.
 */
export function asAdmin<T>(db: AuthDatabase, admin: Admin, work: (trx: Trx) => Promise<T>): Promise<T> {
  const { tenantId, userId } = admin;
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    if (!(await holdsRole(trx, { tenantId, userId, role: adminRole }))) throw new AppError('insufficient_role');
    return work(trx);
  });
}
