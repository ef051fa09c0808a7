import { insert, insertNew, rowsWith } from '@countersign/database';
import { sql } from 'kysely';
import type { StoredPassword } from '../../domain/accounts/passwords.ts';
import { type AuthDatabase, becomeUser, databaseNow, now, roles, type Trx } from '../transaction.ts';

// Matches no user, so that an unknown email address costs the same queries as a known one.
const unknownUserId = '00000000-0000-0000-0000-000000000000';

/** Everything that a login needs before it checks the password. Without an account, `userId` is undefined. */
export async function findCandidate(db: AuthDatabase, email: string) {
  return db.transaction({ role: roles.login }, async (trx) => {
    const user = await findAccount(trx, email);
    const id = user?.id ?? unknownUserId;
    await becomeUser(trx, id);
    const password = await rowsWith(trx, 'credentials', { user_id: id })
      .select(['hash', 'pepper_kid', 'changed_at'])
      .executeTakeFirst();
    return {
      userId: user?.id,
      password,
      passwordChangedAt: password?.changed_at,
      active: user?.status === 'active',
      /** On the database's clock. A later password change makes the login invalid. */
      readAt: await databaseNow(trx),
      /** The tenants that this person can enter. */
      memberships: await trx
        .selectFrom('memberships as m')
        .innerJoin('tenants as t', 't.id', 'm.tenant_id')
        .select(['t.id as tenantId', 't.slug', 't.name'])
        .where('m.user_id', '=', id)
        .where('m.status', '=', 'active')
        .where('t.status', '=', 'active')
        .orderBy('t.slug')
        .execute(),
    };
  });
}

export type Candidate = Awaited<ReturnType<typeof findCandidate>>;

export type Membership = Candidate['memberships'][number];

/** Locks user, membership and tenant FOR SHARE, in this order. @returns undefined if there is no such member. */
export async function lockHolder(trx: Trx, userId: string, tenantId: string) {
  const user = await rowsWith(trx, 'users', { id: userId })
    .select(['email_ci', 'status'])
    .forShare()
    .executeTakeFirst();
  const membership = await rowsWith(trx, 'memberships', { tenant_id: tenantId, user_id: userId })
    .select(['role', 'status'])
    .forShare()
    .executeTakeFirst();
  const tenant = await rowsWith(trx, 'tenants', { id: tenantId })
    .select(['slug', 'status'])
    .forShare()
    .executeTakeFirst();
  if (user === undefined || membership === undefined || tenant === undefined) return undefined;
  const credential = await rowsWith(trx, 'credentials', { user_id: userId }).select('changed_at').executeTakeFirst();
  return {
    active: [user, membership, tenant].every(({ status }) => status === 'active'),
    email: user.email_ci,
    role: membership.role,
    slug: tenant.slug,
    passwordChangedAt: credential?.changed_at,
  };
}

/** A person and their membership. */
export type Holder = NonNullable<Awaited<ReturnType<typeof lockHolder>>>;

export const findAccount = (trx: Trx, email: string) =>
  rowsWith(trx, 'users', { email_ci: email }).select(['id', 'status']).executeTakeFirst();

/** Whether the user or tenant is active. Locks it FOR SHARE, so that this stays true until the transaction ends. */
export async function holdActive(trx: Trx, table: 'users' | 'tenants', id: string): Promise<boolean> {
  const row = await rowsWith(trx, table, { id }).select('status').forShare().executeTakeFirst();
  return row?.status === 'active';
}

/** Locks the user, so that no tokens are issued to them until the transaction ends. */
export async function lockUser(trx: Trx, userId: string): Promise<void> {
  await rowsWith(trx, 'users', { id: userId }).select('id').forUpdate().execute();
}

/** Reads an active user's email address and password. */
export async function findOwnPassword(db: AuthDatabase, userId: string) {
  return db.transaction({ role: roles.login, userId }, (trx) =>
    trx
      .selectFrom('users as u')
      .innerJoin('credentials as c', 'c.user_id', 'u.id')
      .select(['u.email_ci as email', 'c.hash', 'c.pepper_kid'])
      .where('u.id', '=', userId)
      .where('u.status', '=', 'active')
      .executeTakeFirst(),
  );
}

/** Creates an account with a confirmed address. @returns false if the address already has an account. */
export async function insertAccount(
  trx: Trx,
  { userId, email, password }: Readonly<{ userId: string; email: string; password: StoredPassword }>,
): Promise<boolean> {
  if (!(await insertNew(trx, 'users', { id: userId, email_ci: email, email_verified_at: now }))) return false;
  // A session that starts immediately must be at least a millisecond later than the password.
  const changedAt = sql<Date>`clock_timestamp() - interval '2 milliseconds'`;
  await insert(trx, 'credentials', { user_id: userId, ...password, changed_at: changedAt });
  return true;
}

/** Finds a registration by its id, or an address's newest registration. */
export const findWaiting = (trx: Trx, which: Readonly<{ id: string } | { email_ci: string }>) =>
  rowsWith(trx, 'registrations', which)
    .select(['id', 'email_ci as email'])
    .where('expires_at', '>', now)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
