import { insertNew, rowsWith } from '@countersign/database';
import { readSeedFile } from '@countersign/service-kit';
import { z } from 'zod';
import { canonicalEmail } from '../../domain/accounts/account-rules.ts';
import type { Passwords, StoredPassword } from '../../domain/accounts/passwords.ts';
import { grantTypes, isClientId } from '../../domain/clients/client-rules.ts';
import { hashSecret } from '../../domain/clients/client-secret.ts';
import {
  insertOAuthClient,
  insertSecret,
  type NewOAuthClient,
  readCurrentHashes,
} from '../../store/clients/clients.ts';
import { type AuthDatabase, actAs, becomeOAuthClient, enterTenant, roles } from '../../store/transaction.ts';

const atOnce = 4;

const seedSchema = z.object({
  password: z.string().min(12),
  tenants: z.array(
    z.object({
      id: z.uuid(),
      slug: z.string(),
      name: z.string(),
      members: z.array(
        z.object({
          user_id: z.uuid(),
          email: z.email(),
          role: z.string(),
          // Each password hash delays the first start, so demo people can lack a password.
          can_log_in: z.boolean().default(true),
        }),
      ),
      clients: z
        .array(
          z.object({
            client_id: z.string().refine(isClientId),
            name: z.string(),
            scopes: z.array(z.string()),
            grant_types: z.array(z.enum(grantTypes)),
          }),
        )
        .default([]),
    }),
  ),
});

const role = roles.accounts;

/**
 * Creates missing demo tenants, members and OAuth clients. Does not change existing ones, or changed passwords.
 *
 * @param clientSecret The secret of all demo OAuth clients. If undefined, no OAuth clients are created.
 */
export async function seed(
  db: AuthDatabase,
  passwords: Passwords,
  { file, clientSecret }: Readonly<{ file: string; clientSecret: string | undefined }>,
): Promise<void> {
  const { password, tenants } = readSeedFile(file, seedSchema);
  for (const { id, slug, name } of tenants) await addTenant(db, { id, slug, name });
  const people = new Set(
    tenants.flatMap(({ members }) => members.filter((one) => one.can_log_in).map((one) => one.user_id)),
  );
  const hashes = await hashFor(db, passwords, { people: [...people], password });
  for (const { id: tenantId, members } of tenants) {
    for (const { user_id: userId, email, role } of members) {
      await addMember(db, { tenantId, userId, email: canonicalEmail(email), role, password: hashes.get(userId) });
    }
  }
  if (clientSecret === undefined) return;
  const hash = hashSecret(clientSecret);
  for (const { id: tenantId, clients } of tenants) {
    for (const { client_id: id, ...oauthClient } of clients)
      await addOAuthClient(db, { ...oauthClient, id, tenant_id: tenantId, created_by: null, jwks: null }, hash);
  }
}

/** Hashes the password for each person without credentials, a few at a time so that the hash queue does not fill up. */
async function hashFor(
  db: AuthDatabase,
  passwords: Passwords,
  { people, password }: Readonly<{ people: readonly string[]; password: string }>,
): Promise<Map<string, StoredPassword>> {
  const hashes = new Map<string, StoredPassword>();
  for (let start = 0; start < people.length; start += atOnce) {
    await Promise.all(
      people.slice(start, start + atOnce).map(async (userId) => {
        const known = await db.transaction({ role, userId }, (trx) =>
          rowsWith(trx, 'credentials', { user_id: userId }).select('user_id').executeTakeFirst(),
        );
        if (known === undefined) hashes.set(userId, await passwords.hash(password, { address: 'operator' }));
      }),
    );
  }
  return hashes;
}

export const addTenant = (db: AuthDatabase, tenant: Readonly<{ id: string; slug: string; name: string }>) =>
  db.transaction({ role, tenantId: tenant.id }, (trx) => insertNew(trx, 'tenants', tenant));

type Member = Readonly<{ tenantId: string; userId: string; email: string; role: string }>;

/** @param member.password If undefined, the current password stays. */
export async function addMember(
  db: AuthDatabase,
  { tenantId, userId, email, password, ...member }: Member & Readonly<{ password: StoredPassword | undefined }>,
): Promise<void> {
  await db.transaction({ role, tenantId, userId }, async (trx) => {
    await insertNew(trx, 'users', { id: userId, email_ci: email, email_verified_at: new Date() });
    if (password !== undefined) await insertNew(trx, 'credentials', { user_id: userId, ...password });
    await insertNew(trx, 'memberships', { tenant_id: tenantId, user_id: userId, role: member.role });
  });
}

/** Adds the secret also to an existing OAuth client: the file with the demo secret may have been replaced. */
async function addOAuthClient(db: AuthDatabase, oauthClient: NewOAuthClient, hash: Buffer): Promise<void> {
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
