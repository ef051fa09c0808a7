import type { Database } from '@countersign/database';
import { readSeedFile } from '@countersign/service-kit';
import { z } from 'zod';
import { foldName } from './domain/profile.ts';
import { inTenant } from './store/in-tenant.ts';
import { addMember } from './store/members.ts';
import type { UsersSchema } from './store/schema.ts';

// The auth-service reads the same file. This schema ignores the fields that only the auth-service needs.
const seedFile = z.object({
  tenants: z.array(
    z.object({
      id: z.string().min(1),
      members: z.array(
        z.object({
          user_id: z.string().min(1),
          email: z.email(),
          role: z.string().min(1),
          display_name: z.string().min(1),
        }),
      ),
    }),
  ),
});

export type Seed = z.infer<typeof seedFile>;

export const readSeed = (path: string): Seed => readSeedFile(path, seedFile);

/** Adds missing members. Existing members keep every change since the first seed. */
export async function seedMembers(db: Database<UsersSchema>, seed: Seed): Promise<void> {
  for (const { id: tenantId, members } of seed.tenants) {
    await inTenant(db, tenantId, async (trx) => {
      for (const member of members) {
        await addMember(trx, { ...member, tenant_id: tenantId, folded_name: foldName(member.display_name) });
      }
    });
  }
}
