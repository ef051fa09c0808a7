import { rowsWith, updating } from '@countersign/database';
import { sql } from 'kysely';
import type { MemberState } from '../../domain/tenants/member-change.ts';
import type { Trx } from '../transaction.ts';

/** @returns The id of an active tenant. */
export async function findTenant(trx: Trx, slug: string): Promise<string | undefined> {
  const row = await rowsWith(trx, 'tenants', { slug, status: 'active' }).select('id').executeTakeFirst();
  return row?.id;
}

/** @returns The name of an active tenant. */
export async function findTenantName(trx: Trx, id: string): Promise<string | undefined> {
  const row = await rowsWith(trx, 'tenants', { id, status: 'active' }).select('name').executeTakeFirst();
  return row?.name;
}

/** @returns The membership version, or undefined if the user is already a member, even a disabled one. */
export async function insertMember(
  trx: Trx,
  member: Readonly<{ tenant_id: string; user_id: string; role: string }>,
): Promise<number | undefined> {
  const insertion = trx.insertInto('memberships').values(member);
  const made = await insertion
    .onConflict((on) => on.doNothing())
    .returning('version')
    .executeTakeFirst();
  return made?.version;
}

/** Locks in a fixed order, so that two administrators cannot demote each other. Meanwhile none of them gets tokens. */
export const lockMemberAndAdmins = (
  trx: Trx,
  { tenantId, userId, adminRole }: Readonly<{ tenantId: string; userId: string; adminRole: string }>,
): Promise<MemberState[]> =>
  rowsWith(trx, 'memberships', { tenant_id: tenantId })
    .select(['user_id as userId', 'role', 'status'])
    .where((match) => match.or({ user_id: userId, role: adminRole }))
    .orderBy('user_id')
    .forUpdate()
    .execute();

// Versions increase even after a restore from a backup.
const nextVersion = sql<number>`greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)`;

/** @returns The new version. */
export async function updateMember(trx: Trx, tenantId: string, { userId, role, status }: MemberState): Promise<number> {
  const change = { role, status, version: nextVersion };
  const member = updating(trx, 'memberships', { tenant_id: tenantId, user_id: userId }, change);
  return (await member.returning('version').executeTakeFirstOrThrow()).version;
}

/** Locks all of a user's memberships and gives them new versions, after their account has changed. */
export const renumberMemberships = (trx: Trx, userId: string) =>
  updating(trx, 'memberships', { user_id: userId }, { version: nextVersion })
    .returning(['tenant_id as tenantId', 'role', 'status', 'version'])
    .execute();

/** Reads the email addresses and account states of people in the current tenant. */
export async function readAccounts(
  trx: Trx,
  userIds: readonly string[],
): Promise<Map<string, Readonly<{ email: string; active: boolean }>>> {
  const users = trx.selectFrom('users').select(['id', 'email_ci', 'status']);
  const rows = await users.where('id', 'in', [...userIds]).execute();
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

/** Returns the tenants that the person has not been removed from, in the order in which audit chains must be locked. */
export async function tenantsOf(trx: Trx, userId: string): Promise<string[]> {
  const memberships = rowsWith(trx, 'memberships', { user_id: userId, status: 'active' }).select('tenant_id');
  const rows = await memberships.orderBy(sql`tenant_id collate "C"`).execute();
  return rows.map((row) => row.tenant_id);
}

/** Whether a member with this role is active. Locks the membership FOR SHARE, so that this stays true. */
export async function holdsRole(
  trx: Trx,
  { tenantId, userId, role }: Readonly<{ tenantId: string; userId: string; role: string }>,
): Promise<boolean> {
  const member = { tenant_id: tenantId, user_id: userId, role, status: 'active' } as const;
  const row = await rowsWith(trx, 'memberships', member).select('role').forShare().executeTakeFirst();
  if (row === undefined) return false;
  // Disabling the account waits for this lock too.
  return (await readAccounts(trx, [userId])).get(userId)?.active ?? false;
}

/** Lists a tenant's members by address, with what an administrator sees of their accounts. */
export function listMembers(
  trx: Trx,
  tenantId: string,
  { after, limit }: Readonly<{ after: string | undefined; limit: number }>,
) {
  let query = trx
    .selectFrom('memberships as m')
    .innerJoin('users as u', 'u.id', 'm.user_id')
    .leftJoin('totp as t', 't.user_id', 'm.user_id')
    .select(['m.user_id as userId', 'm.role', 'm.status', 'u.email_ci as email', 't.confirmed_at as factorSince'])
    .where('m.tenant_id', '=', tenantId);
  if (after !== undefined)
    query = query.where('u.email_ci', '>', (from) =>
      from.selectFrom('users').select('email_ci').where('id', '=', after),
    );
  return query.orderBy('u.email_ci').limit(limit).execute();
}
