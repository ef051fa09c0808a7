import { sql, type Transaction } from 'kysely';
import type { Member, MembersTable, UsersSchema } from './schema.ts';

type Trx = Transaction<UsersSchema>;

/** What a person may change about themselves, as stored. */
export type MemberChanges = Partial<
  Pick<MembersTable, 'display_name' | 'folded_name' | 'phone' | 'locale' | 'time_zone'>
>;
export type NewMember = Omit<MembersTable, 'status' | 'phone' | 'locale' | 'time_zone'>;
export type Written = Readonly<{ revision: string; at: Date }>;
/** Where a page begins: behind this member, in the order of the directory. */
export type DirectoryPosition = Readonly<{ foldedName: string; userId: string }>;
export type DirectoryFilter = Readonly<{
  role?: string | undefined;
  /** Part of a name or an address, folded. */
  part?: string | undefined;
  after?: DirectoryPosition | undefined;
  limit: number;
}>;

export function findMember(trx: Trx, userId: string): Promise<Member | undefined> {
  return trx.selectFrom('members').selectAll().where('user_id', '=', userId).executeTakeFirst();
}

/** As {@link findMember}, and nobody else changes the row until this transaction ends. */
export function lockMember(trx: Trx, userId: string): Promise<Member | undefined> {
  return trx.selectFrom('members').selectAll().where('user_id', '=', userId).forUpdate().executeTakeFirst();
}

/** Two first requests may come at once: the second finds the row of the first and leaves it alone. */
export async function addMember(trx: Trx, member: NewMember): Promise<void> {
  await trx
    .insertInto('members')
    .values({ ...member, status: 'active', phone: null, locale: null, time_zone: null })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'user_id']).doNothing())
    .execute();
}

export async function setRole(trx: Trx, userId: string, role: string, written: Written): Promise<void> {
  await trx
    .updateTable('members')
    .set({ role, revision: written.revision, updated_at: written.at })
    .where('user_id', '=', userId)
    .execute();
}

export function changeMember(trx: Trx, userId: string, changes: MemberChanges, written: Written): Promise<Member> {
  return trx
    .updateTable('members')
    .set({ ...changes, revision: written.revision, updated_at: written.at })
    .where('user_id', '=', userId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** The tenant's members by name, one page; the tenant is the transaction's. */
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
