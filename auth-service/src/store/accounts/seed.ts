import type { StoredPassword } from '../../domain/accounts/passwords.ts';
import { insertSecret, readCurrentHashes } from '../clients/client-credentials.ts';
import { insertOAuthClient, type NewOAuthClient } from '../clients/clients.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import { actAs, becomeOAuthClient, enterTenant } from '../scope.ts';
import { insertTenant, type Tenant } from '../tenants/tenants.ts';

const role = roles.accounts;

export async function addTenant(db: AuthDatabase, { id, slug, name }: Tenant): Promise<void> {
  await db.transaction({ role, tenantId: id }, (trx) => insertTenant(trx, { id, slug, name }));
}

export async function hasCredential(db: AuthDatabase, userId: string): Promise<boolean> {
  const row = await db.transaction({ role, userId }, (trx) =>
    trx.selectFrom('credentials').select('user_id').where('user_id', '=', userId).executeTakeFirst(),
  );
  return row !== undefined;
}

/** @param member.password If undefined, the current password stays. */
export async function addMember(
  db: AuthDatabase,
  member: Readonly<{
    tenantId: string;
    userId: string;
    email: string;
    role: string;
    password: StoredPassword | undefined;
  }>,
): Promise<void> {
  const { tenantId, userId, email, password } = member;
  await db.transaction({ role, tenantId, userId }, async (trx) => {
    await trx
      .insertInto('users')
      .values({ id: userId, email_ci: email, email_verified_at: new Date() })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    if (password !== undefined) {
      await trx
        .insertInto('credentials')
        .values({ user_id: userId, hash: password.hash, pepper_kid: password.pepperKid })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
    await trx
      .insertInto('memberships')
      .values({ tenant_id: tenantId, user_id: userId, role: member.role })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}

/**
 * Adds an OAuth client, or adds the secret to an existing OAuth client: the file with the demo secret may have been
 * replaced.
 */
export async function addOAuthClient(db: AuthDatabase, oauthClient: NewOAuthClient, hash: Buffer): Promise<void> {
  const { tenant_id: tenantId, id: clientId } = oauthClient;
  await db.transaction({ role: roles.clients }, async (trx) => {
    await actAs(trx, role);
    await enterTenant(trx, tenantId);
    await insertOAuthClient(trx, oauthClient);
    await actAs(trx, roles.clients);
    await becomeOAuthClient(trx, clientId);
    const known = await readCurrentHashes(trx);
    await actAs(trx, role);
    if (!known.some((one) => one.hash.equals(hash))) await insertSecret(trx, { tenantId, clientId, hash });
  });
}
