import { sql, type Transaction } from 'kysely';
import type { DirectoryPosition } from '../domain/cursor.ts';
import type { MemberChanges } from '../domain/profile.ts';
import { actingAs } from './in-tenant.ts';
import { identityRole, type Member, type MembersTable, type UsersSchema } from './schema.ts';

type Trx = Transaction<UsersSchema>;

export type NewMember = Omit<MembersTable, 'status' | 'sequence' | 'phone' | 'locale' | 'time_zone'>;
/** A member's state, as the auth-service sends it. */
export type MembershipUpdate = Pick<MembersTable, 'tenant_id' | 'user_id' | 'email' | 'role' | 'status' | 'sequence'>;
export type Written = Readonly<{ revision: string; at: Date }>;
export type DirectoryFilter = Readonly<{
  role?: string | undefined;
  /** Part of a name or address, after folding. */
  part?: string | undefined;
  after?: DirectoryPosition | undefined;
  limit: number;
}>;

export function findMember(trx: Trx, userId: string): Promise<Member | undefined> {
  return trx.selectFrom('members').selectAll().where('user_id', '=', userId).executeTakeFirst();
}

/** Reads the display names of these members, if they have one. */
export async function findNames(
  trx: Trx,
  userIds: readonly string[],
): Promise<Readonly<{ user_id: string; display_name: string }>[]> {
  const named = trx.selectFrom('members').select('user_id').select(sql<string>`display_name`.as('display_name'));
  return named
    .where('user_id', '=', sql<string>`any(${userIds}::text[])`)
    .where('display_name', 'is not', null)
    .execute();
}

/** Reads the addresses of active members, if they have one. */
export async function findAddresses(
  trx: Trx,
  userIds: readonly string[],
): Promise<(Pick<Member, 'user_id' | 'role'> & Readonly<{ email: string }>)[]> {
  return trx
    .selectFrom('members')
    .select(['user_id', 'role'])
    .select(sql<string>`email`.as('email'))
    .where('user_id', '=', sql<string>`any(${userIds}::text[])`)
    .where('status', '=', 'active')
    .where(sql<boolean>`email <> ''`)
    .execute();
}

/** Like {@link findMember}, but locks the row until the transaction ends. */
export function lockMember(trx: Trx, userId: string): Promise<Member | undefined> {
  return trx.selectFrom('members').selectAll().where('user_id', '=', userId).forUpdate().executeTakeFirst();
}

/** Adds a member. Of two concurrent first requests, the second finds the row of the first and does not change it. */
export async function addMember(trx: Trx, member: NewMember): Promise<void> {
  await trx
    .insertInto('members')
    .values({ ...member, status: 'active', sequence: 0, phone: null, locale: null, time_zone: null })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'user_id']).doNothing())
    .execute();
}

/**
 * Stores a membership update, unless the row has the same or a higher sequence number: updates may arrive twice or
 * late.
 *
 * @returns Whether the row changed.
 */
export async function applyMembershipUpdate(
  trx: Trx,
  update: MembershipUpdate,
  { revision, at }: Written,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('members')
    .values({ ...update, folded_name: '', revision, created_at: at, updated_at: at })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'user_id'])
        .doUpdateSet({
          email: update.email,
          role: update.role,
          status: update.status,
          sequence: update.sequence,
          revision,
          updated_at: at,
        })
        .where('members.sequence', '<', update.sequence),
    )
    .executeTakeFirst();
  return (numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Copies the role from a token, as long as the row has no membership update. Later only updates change the role. */
export async function takeRoleOfToken(trx: Trx, userId: string, role: string, written: Written): Promise<void> {
  await actingAs(trx, identityRole, () =>
    trx
      .updateTable('members')
      .set({ role, revision: written.revision, updated_at: written.at })
      .where('user_id', '=', userId)
      // An update may arrive after the row was read, so PostgreSQL checks this again on the locked row.
      .where('sequence', '=', 0)
      .execute(),
  );
}

export function changeMember(trx: Trx, userId: string, changes: MemberChanges, written: Written): Promise<Member> {
  return trx
    .updateTable('members')
    .set({ ...changes, revision: written.revision, updated_at: written.at })
    .where('user_id', '=', userId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Lists the tenant's members by name. The transaction determines the tenant. */
export function listMembers(trx: Trx, { role, part, after, limit }: DirectoryFilter): Promise<Member[]> {
  let query = trx.selectFrom('members').selectAll();
  if (role !== undefined) query = query.where('role', '=', role);
  if (part !== undefined) {
    const pattern = `%${part.replace(/[\\%_]/g, '\\$&')}%`;
    query = query.where((or) => or.or([or('folded_name', 'like', pattern), or(sql`lower(email)`, 'like', pattern)]));
  }
  if (after !== undefined) {
    query = query.where(sql<boolean>`(folded_name, user_id) > (${after.foldedName}, ${after.userId})`);
  }
  return query.orderBy('folded_name').orderBy('user_id').limit(limit).execute();
}
