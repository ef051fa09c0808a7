import { readSeedFile } from '@countersign/service-kit';
import { z } from 'zod';
import type { FlowParts } from '../flows/parts.ts';
import { createRandom } from './random.ts';
import { type SeededTenant, seedTenant } from './seed-complaints.ts';
import { seedImages } from './seed-images.ts';

const complaintsOfATenant = 60;
const imagesOfATenant = 6;

/** Adds a month of complaints to demo tenants that have none. They are always the same. Later starts change nothing. */
export async function seed(parts: FlowParts, tenants: readonly SeededTenant[]): Promise<void> {
  for (const [index, tenant] of tenants.entries()) {
    const wanted = { now: parts.now(), seed: index + 1, complaints: complaintsOfATenant };
    const stories = await seedTenant(parts.db, tenant, wanted);
    if (stories.length === 0) continue;
    await seedImages(parts, createRandom(index + 1_001), { stories, images: imagesOfATenant });
  }
}

// The auth-service and the users-service read the same file. This service ignores names, addresses and the password.
const seedFile = z.object({
  tenants: z.array(
    z.object({
      id: z.string().min(1),
      members: z.array(z.object({ user_id: z.string().min(1), role: z.string().min(1) })),
    }),
  ),
});

export const readSeed = (path: string): readonly SeededTenant[] => readSeedFile(path, seedFile).tenants;
