import { readSeedFile } from '@countersign/service-kit';
import { z } from 'zod';
import type { SeededTenant } from './seed-complaints.ts';

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
