import type { Database } from '@countersign/database';
import { v7 as uuidv7 } from 'uuid';
import { createHashQueue, createPasswords, type Passwords } from '../../src/domain/accounts/passwords.ts';
import { parseKeyRing } from '../../src/domain/keys/key-ring.ts';
import { addMember, addTenant } from '../../src/flows/accounts/seed.ts';
import type { AuthSchema } from '../../src/store/schema.ts';

export const ring = (id: string, fill: number) => `${id}:${Buffer.alloc(32, fill).toString('base64url')}`;
export const password = 'correct horse battery staple';
export const peppers = ring('pepper', 1);

// The lowest bcrypt cost, because the tests check how often it runs, not how long.
export const testPasswords = (): Promise<Passwords> =>
  createPasswords({
    peppers: parseKeyRing(peppers),
    cost: 4,
    queue: createHashQueue({ concurrency: 4, maxWaiting: 1_000 }),
  });

export type Tenant = Readonly<{ id: string; slug: string }>;
export type Person = Readonly<{ userId: string; email: string }>;

export async function makeTenant(db: Database<AuthSchema>, slug: string): Promise<Tenant> {
  const id = uuidv7();
  await addTenant(db, { id, slug, name: slug });
  return { id, slug };
}

/** @param tenants The tenants that this person is a member of, as an agent. */
export async function makePerson(
  db: Database<AuthSchema>,
  passwords: Passwords,
  tenants: readonly Tenant[],
): Promise<Person> {
  const userId = uuidv7();
  const email = `${userId}@acme.test`;
  const stored = await passwords.hash(password, { address: 'test' });
  for (const { id } of tenants) {
    await addMember(db, { tenantId: id, userId, email, role: 'agent', password: stored });
  }
  return { userId, email };
}
