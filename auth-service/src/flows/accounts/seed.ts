import { readSeedFile } from '@countersign/service-kit';
import { z } from 'zod';
import { canonicalEmail } from '../../domain/accounts/email.ts';
import type { Passwords, StoredPassword } from '../../domain/accounts/passwords.ts';
import { grantTypes, isClientId } from '../../domain/clients/client-rules.ts';
import { hashSecret } from '../../domain/clients/client-secret.ts';
import { addMember, addOAuthClient, addTenant, hasCredential } from '../../store/accounts/seed.ts';
import type { AuthDatabase } from '../../store/database.ts';

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
  for (const tenant of tenants) await addTenant(db, tenant);
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
      people.slice(start, start + atOnce).map(async (id) => {
        if (!(await hasCredential(db, id))) hashes.set(id, await passwords.hash(password));
      }),
    );
  }
  return hashes;
}
