import { sql } from 'kysely';
import type { MemberState } from '../../domain/tenants/member-change.ts';
import type { Trx } from '../scope.ts';

/** @returns The membership version, or undefined if the user is already a member, even a disabled one. */
export async function insertMember(
  trx: Trx,
  { tenantId, userId, role }: Readonly<{ tenantId: string; userId: string; role: string }>,
): Promise<number | undefined> {
  const made = await trx
    .insertInto('memberships')
    .values({ tenant_id: tenantId, user_id: userId, role })
    .onConflict((conflict) => conflict.doNothing())
    .returning('version')
    .executeTakeFirst();
  return made?.version;
}

/**
 * Locks the member and all administrators in a fixed order, so that two administrators cannot demote each other at the
 * same time. Meanwhile none of them gets tokens.
 */
export function lockMemberAndAdmins(
  trx: Trx,
  { tenantId, userId, adminRole }: Readonly<{ tenantId: string; userId: string; adminRole: string }>,
): Promise<MemberState[]> {
  return trx
    .selectFrom('memberships')
    .select(['user_id as userId', 'role', 'status'])
    .where('tenant_id', '=', tenantId)
    .where((match) => match.or([match('user_id', '=', userId), match('role', '=', adminRole)]))
    .orderBy('user_id')
    .forUpdate()
    .execute();
}

// Versions increase even after a restore from a backup.
const nextVersion = sql<number>`greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)`;

/** @returns The new version. */
export async function updateMember(trx: Trx, tenantId: string, { userId, role, status }: MemberState): Promise<number> {
  const { version } = await trx
    .updateTable('memberships')
    .set({ role, status, version: nextVersion })
    .where('tenant_id', '=', tenantId)
    .where('user_id', '=', userId)
    .returning('version')
    .executeTakeFirstOrThrow();
  return version;
}

/** Locks all of a user's memberships and gives them new versions, after their account has changed. */
export function renumberMemberships(trx: Trx, userId: string) {
  return trx
    .updateTable('memberships')
    .set({ version: nextVersion })
    .where('user_id', '=', userId)
    .returning(['tenant_id as tenantId', 'role', 'status', 'version'])
    .execute();
}

/** Reads the email addresses and account states of people in the current tenant. */
export async function readAccounts(
  trx: Trx,
  userIds: readonly string[],
): Promise<Map<string, Readonly<{ email: string; active: boolean }>>> {
  const rows = await trx
    .selectFrom('users')
    .select(['id', 'email_ci', 'status'])
    .where('id', 'in', [...userIds])
    .execute();
  return new Map(rows.map((row) => [row.id, { email: row.email_ci, active: row.status === 'active' }]));
}

/** Whether this address belongs to a member of the tenant, even a disabled one. */
export async function isMember(trx: Trx, tenantId: string, email: string): Promise<boolean> {
  const row = await trx
    .selectFrom('users as u')
    .innerJoin('memberships as m', 'm.user_id', 'u.id')
    .select('u.id')
    .where('m.tenant_id', '=', tenantId)
    .where('u.email_ci', '=', email)
    .executeTakeFirst();
  return row !== undefined;
}

/** @returns The tenant's id, or undefined if it does not exist or is disabled. */
export async function findTenant(trx: Trx, slug: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('tenants')
    .select('id')
    .where('slug', '=', slug)
    .where('status', '=', 'active')
    .executeTakeFirst();
  return row?.id;
}

/** Returns the person's tenants in the order in which audit chains must be locked. */
export async function tenantsOf(trx: Trx, userId: string): Promise<string[]> {
  const rows = await trx
    .selectFrom('memberships')
    .select('tenant_id')
    .where('user_id', '=', userId)
    .orderBy(sql`tenant_id collate "C"`)
    .execute();
  return rows.map((row) => row.tenant_id);
}

/**
 * Whether a member with this role and their account are active. Locks the membership FOR SHARE, so that this stays true
 * until the transaction ends.
 */
export async function holdsRole(
  trx: Trx,
  { tenantId, userId, role }: Readonly<{ tenantId: string; userId: string; role: string }>,
): Promise<boolean> {
  const row = await trx
    .selectFrom('memberships')
    .select('role')
    .where('tenant_id', '=', tenantId)
    .where('user_id', '=', userId)
    .where('role', '=', role)
    .where('status', '=', 'active')
    .forShare()
    .executeTakeFirst();
  if (row === undefined) return false;
  // Disabling the account waits for this lock too.
  return (await readAccounts(trx, [userId])).get(userId)?.active ?? false;
}
