import type { StoredPassword } from '../../domain/accounts/passwords.ts';
import { databaseNow } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import { becomeUser, type Trx } from '../scope.ts';

export type Membership = Readonly<{ tenantId: string; slug: string; name: string }>;

/** What a login reads before it checks the password. */
export type Candidate = Readonly<{
  /** Undefined if no account has this email address. */
  userId: string | undefined;
  password: StoredPassword | undefined;
  active: boolean;
  /** The tenants that this person can enter. */
  memberships: readonly Membership[];
  /** When this was read, on the database's clock. A later password change makes the login invalid. */
  readAt: Date;
}>;

// Matches no user, so that an unknown email address costs the same queries as a known one.
const unknownUserId = '00000000-0000-0000-0000-000000000000';

export async function findCandidate(db: AuthDatabase, email: string): Promise<Candidate> {
  return db.transaction({ role: roles.login }, async (trx) => {
    const user = await findAccount(trx, email);
    await becomeUser(trx, user?.id ?? unknownUserId);
    const credential = await trx
      .selectFrom('credentials')
      .select(['hash', 'pepper_kid as pepperKid'])
      .where('user_id', '=', user?.id ?? unknownUserId)
      .executeTakeFirst();
    return {
      userId: user?.id,
      password: credential,
      active: user?.status === 'active',
      readAt: await databaseNow(trx),
      memberships: await readMemberships(trx, user?.id ?? unknownUserId),
    };
  });
}

async function readMemberships(trx: Trx, userId: string): Promise<Membership[]> {
  return trx
    .selectFrom('memberships as m')
    .innerJoin('tenants as t', 't.id', 'm.tenant_id')
    .select(['t.id as tenantId', 't.slug', 't.name'])
    .where('m.user_id', '=', userId)
    .where('m.status', '=', 'active')
    .where('t.status', '=', 'active')
    .orderBy('t.slug')
    .execute();
}

/** Stores a newer hash of the same password, unless the password was changed meanwhile. */
export async function replaceHash(
  db: AuthDatabase,
  userId: string,
  change: Readonly<{ from: string; to: StoredPassword }>,
): Promise<void> {
  await db.transaction({ role: roles.login, userId }, (trx) =>
    trx
      .updateTable('credentials')
      .set({ hash: change.to.hash, pepper_kid: change.to.pepperKid })
      .where('user_id', '=', userId)
      .where('hash', '=', change.from)
      .execute(),
  );
}

/** A person and their membership. Both stay locked until the token is committed. */
export type Holder = Readonly<{
  active: boolean;
  email: string;
  role: string;
  slug: string;
  passwordChangedAt: Date | undefined;
}>;

/** Locks the user, membership and tenant FOR SHARE, in this order. @returns undefined if there is no such member. */
export async function lockHolder(trx: Trx, userId: string, tenantId: string): Promise<Holder | undefined> {
  const user = await trx
    .selectFrom('users')
    .select(['email_ci', 'status'])
    .where('id', '=', userId)
    .forShare()
    .executeTakeFirst();
  const membership = await trx
    .selectFrom('memberships')
    .select(['role', 'status'])
    .where('tenant_id', '=', tenantId)
    .where('user_id', '=', userId)
    .forShare()
    .executeTakeFirst();
  const tenant = await trx
    .selectFrom('tenants')
    .select(['slug', 'status'])
    .where('id', '=', tenantId)
    .forShare()
    .executeTakeFirst();
  if (user === undefined || membership === undefined || tenant === undefined) return undefined;
  const credential = await trx
    .selectFrom('credentials')
    .select('changed_at')
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return {
    active: [user, membership, tenant].every(({ status }) => status === 'active'),
    email: user.email_ci,
    role: membership.role,
    slug: tenant.slug,
    passwordChangedAt: credential?.changed_at,
  };
}

/** Locks all tenants in the order of their ids, so that no tokens are issued until the transaction ends. */
export async function lockTenants(trx: Trx): Promise<string[]> {
  const rows = await trx.selectFrom('tenants').select('id').orderBy('id').forUpdate().execute();
  return rows.map(({ id }) => id);
}

/** Locks the account with this email address, and returns its id. */
export async function lockUserByEmail(trx: Trx, email: string): Promise<string | undefined> {
  const user = await trx.selectFrom('users').select('id').where('email_ci', '=', email).forUpdate().executeTakeFirst();
  return user?.id;
}

/** Finds the account with this email address. */
export function findAccount(trx: Trx, email: string): Promise<Readonly<{ id: string; status: string }> | undefined> {
  return trx.selectFrom('users').select(['id', 'status']).where('email_ci', '=', email).executeTakeFirst();
}

export async function setUserStatus(trx: Trx, userId: string, status: 'active' | 'disabled'): Promise<void> {
  await trx.updateTable('users').set({ status }).where('id', '=', userId).execute();
}

/** Whether the account is active. Locks it FOR SHARE, so that this stays true until the transaction ends. */
export async function isActiveAccount(trx: Trx, userId: string): Promise<boolean> {
  const user = await trx.selectFrom('users').select('status').where('id', '=', userId).forShare().executeTakeFirst();
  return user?.status === 'active';
}

export async function emailOf(trx: Trx, userId: string): Promise<string> {
  const row = await trx.selectFrom('users').select('email_ci').where('id', '=', userId).executeTakeFirstOrThrow();
  return row.email_ci;
}

/** Locks the user, so that no tokens are issued to them until the transaction ends. */
export async function lockUser(trx: Trx, userId: string): Promise<void> {
  await trx.selectFrom('users').select('id').where('id', '=', userId).forUpdate().execute();
}

/** Reads an active user's email address and password. */
export async function findOwnPassword(
  db: AuthDatabase,
  userId: string,
): Promise<Readonly<{ email: string; password: StoredPassword }> | undefined> {
  return db.transaction({ role: roles.login, userId }, async (trx) => {
    const row = await trx
      .selectFrom('users as u')
      .innerJoin('credentials as c', 'c.user_id', 'u.id')
      .select(['u.email_ci as email', 'c.hash', 'c.pepper_kid as pepperKid'])
      .where('u.id', '=', userId)
      .where('u.status', '=', 'active')
      .executeTakeFirst();
    return row && { email: row.email, password: { hash: row.hash, pepperKid: row.pepperKid } };
  });
}
