import { insertNew, rowsWith, update, updating } from '@countersign/database';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { DirectoryPosition } from '../domain/cursor.ts';
import type { MemberChanges } from '../domain/profile.ts';
import { actAs, appRole, identityRole, type Member, type Trx } from './schema.ts';

type NewMember = Pick<Member, 'tenant_id' | 'user_id' | 'role'> &
  Partial<Pick<Member, 'email' | 'display_name' | 'folded_name'>>;
/** A member's state, as the auth-service sends it. */
export type MembershipUpdate = Pick<Member, 'tenant_id' | 'user_id' | 'email' | 'role' | 'status' | 'sequence'>;
type DirectoryFilter = Readonly<{
  role?: string | undefined;
  /** Part of a name or address, after folding. */
  part?: string | undefined;
  after?: DirectoryPosition | undefined;
  limit: number;
}>;

/** Returns the columns that every write sets. */
const written = () => ({ revision: uuidv7(), updated_at: new Date() });

export function findMember(trx: Trx, userId: string): Promise<Member | undefined> {
  return rowsWith(trx, 'members', { user_id: userId }).selectAll().executeTakeFirst();
}

/** Reads the display names and email addresses of these members. */
export const findNames = (trx: Trx, userIds: readonly string[]) =>
  trx
    .selectFrom('members')
    .select(['user_id', 'display_name', 'email'])
    .where('user_id', '=', sql<string>`any(${userIds}::text[])`)
    .execute();

/** Reads the addresses of active members, if they have one. */
export async function findAddresses(
  trx: Trx,
  userIds: readonly string[],
): Promise<(Pick<Member, 'user_id' | 'role' | 'display_name' | 'locale'> & Readonly<{ email: string }>)[]> {
  return trx
    .selectFrom('members')
    .select(['user_id', 'role', 'display_name', 'locale'])
    .select(sql<string>`email`.as('email'))
    .where('user_id', '=', sql<string>`any(${userIds}::text[])`)
    .where('status', '=', 'active')
    .where(sql<boolean>`email <> ''`)
    .execute();
}

/** Like {@link findMember}, but locks the row until the transaction ends. */
export function lockMember(trx: Trx, userId: string): Promise<Member> {
  return rowsWith(trx, 'members', { user_id: userId }).selectAll().forUpdate().executeTakeFirstOrThrow();
}

/** Adds a member. Of two concurrent first requests, the second finds the row of the first and does not change it. */
export async function addMember(trx: Trx, member: NewMember): Promise<void> {
  const { revision, updated_at } = written();
  await insertNew(trx, 'members', { ...member, revision, created_at: updated_at, updated_at });
}

/**
 * Stores a membership update, unless the row has the same or a higher sequence number: updates may arrive twice or
 * late.
 *
 * @returns Whether the row changed.
 */
export async function applyMembershipUpdate(trx: Trx, update: MembershipUpdate): Promise<boolean> {
  const { tenant_id, user_id, ...state } = { ...update, ...written() };
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('members')
    .values({ tenant_id, user_id, ...state, created_at: state.updated_at })
    .onConflict((conflict) =>
      conflict.columns(['tenant_id', 'user_id']).doUpdateSet(state).where('members.sequence', '<', update.sequence),
    )
    .executeTakeFirst();
  return (numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Copies the role from a token, as long as the row has no membership update. Later only updates change the role. */
export async function takeRoleOfToken(trx: Trx, userId: string, role: string): Promise<void> {
  await actAs(trx, identityRole);
  // An update may arrive after the row was read, so PostgreSQL checks `sequence` again on the locked row.
  await update(trx, 'members', { user_id: userId, sequence: 0 }, { role, ...written() });
  await actAs(trx, appRole);
}

export function changeMember(trx: Trx, userId: string, changes: MemberChanges): Promise<Member> {
  const change = updating(trx, 'members', { user_id: userId }, { ...changes, ...written() });
  return change.returningAll().executeTakeFirstOrThrow();
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
    query = query.where(sql<boolean>`(folded_name, user_id) > (${after.folded_name}, ${after.user_id})`);
  }
  return query.orderBy('folded_name').orderBy('user_id').limit(limit).execute();
}
