import type { Trx } from '../scope.ts';

/** Finds the account with this address. */
export async function findAddressee(
  trx: Trx,
  email: string,
): Promise<Readonly<{ userId: string; active: boolean }> | undefined> {
  const row = await trx.selectFrom('users').select(['id', 'status']).where('email_ci', '=', email).executeTakeFirst();
  return row && { userId: row.id, active: row.status === 'active' };
}

/** @returns undefined if the tenant does not exist or is disabled. */
export async function findTenantName(trx: Trx, tenantId: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('tenants')
    .select('name')
    .where('id', '=', tenantId)
    .where('status', '=', 'active')
    .executeTakeFirst();
  return row?.name;
}
