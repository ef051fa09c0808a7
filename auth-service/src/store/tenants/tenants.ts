import type { Trx } from '../scope.ts';

export type Tenant = Readonly<{ id: string; slug: string; name: string }>;

type TenantStatus = 'active' | 'disabled';

/** @returns false if the id or slug already exists. */
export async function insertTenant(trx: Trx, tenant: Tenant): Promise<boolean> {
  const made = await trx
    .insertInto('tenants')
    .values(tenant)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return (made.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Lists all tenants by slug. */
export function listTenants(trx: Trx): Promise<(Tenant & Readonly<{ status: TenantStatus }>)[]> {
  return trx.selectFrom('tenants').select(['id', 'slug', 'name', 'status']).orderBy('slug').execute();
}

/**
 * Locks the tenant, so that no tokens are issued in it until the transaction ends.
 *
 * @returns Its id, or undefined if it does not exist.
 */
export async function lockTenantBySlug(trx: Trx, slug: string): Promise<string | undefined> {
  const row = await trx.selectFrom('tenants').select('id').where('slug', '=', slug).forUpdate().executeTakeFirst();
  return row?.id;
}

export async function setTenantStatus(trx: Trx, id: string, status: TenantStatus): Promise<void> {
  await trx.updateTable('tenants').set({ status }).where('id', '=', id).execute();
}

/** Whether the tenant is active. Locks it FOR SHARE, so that this stays true until the transaction ends. */
export async function holdActiveTenant(trx: Trx, id: string): Promise<boolean> {
  const row = await trx.selectFrom('tenants').select('status').where('id', '=', id).forShare().executeTakeFirst();
  return row?.status === 'active';
}

/** Returns the tenant's name, or undefined if it does not exist or is disabled. */
export async function findTenantName(trx: Trx, tenantId: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('tenants')
    .select('name')
    .where('id', '=', tenantId)
    .where('status', '=', 'active')
    .executeTakeFirst();
  return row?.name;
}
