import { type Database, databaseOf, openDatabase } from '@countersign/database';
import { createLogger, type Running } from '@countersign/process-kit';
import { readSeedFile, startBehindGateway } from '@countersign/service-kit';
import { z } from 'zod';
import type { UsersConfig } from './config.ts';
import { foldName } from './domain/profile.ts';
import { createApp } from './routes/api.ts';
import { addMember } from './store/members.ts';
import { inTenant, type UsersSchema, usersDatabase } from './store/schema.ts';

const name = 'users-service';

/** @throws StartupError if the database, the seed file or the port cannot be used. */
export async function start(
  config: UsersConfig,
  logger = createLogger(name, config.LOG_LEVEL),
): Promise<Running & Readonly<{ port: number }>> {
  const seed = config.SEED_FILE === undefined ? undefined : readSeed(config.SEED_FILE);
  const db = await openDatabase<UsersSchema>({
    ...usersDatabase,
    ...databaseOf('users', config.USERS_DATABASE_URL, config),
    onError: (error) => logger.warn({ err: error }, 'a database connection was lost'),
  });
  return startBehindGateway({
    name,
    port: config.USERS_PORT,
    config,
    logger,
    database: db,
    async createApp(parts) {
      if (seed !== undefined) await seedMembers(db, seed);
      return createApp({ ...parts, db });
    },
  });
}

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
