import { readFileSync } from 'node:fs';
import { StartupError } from '@countersign/service-kit';
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

/** @throws StartupError when the file cannot be read or is not a list of tenants. */
export function readSeed(path: string): readonly SeededTenant[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new StartupError(`SEED_FILE: cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  const parsed = seedFile.safeParse(content);
  if (parsed.success) return parsed.data.tenants;
  throw new StartupError(`SEED_FILE: ${path} is not as expected:\n${z.prettifyError(parsed.error)}`);
}
