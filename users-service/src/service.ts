import { join } from 'node:path';
import { locationFrom, openDatabase } from '@countersign/database';
import { createLogger, type Running, startBehindGateway } from '@countersign/service-kit';
import { createApp } from './app.ts';
import type { UsersConfig } from './config.ts';
import { readSeed, seedMembers } from './seed.ts';
import { type UsersSchema, usersDatabase } from './store/schema.ts';

const name = 'users-service';

/** @throws StartupError if the database, the seed file or the port cannot be used. */
export async function start(
  config: UsersConfig,
  logger = createLogger(name, config.LOG_LEVEL),
): Promise<Running & Readonly<{ port: number }>> {
  const seed = config.SEED_FILE === undefined ? undefined : readSeed(config.SEED_FILE);
  const db = await openDatabase<UsersSchema>({
    location: locationFrom(
      config.USERS_DATABASE_URL,
      config.DATABASE_URL,
      join(config.COUNTERSIGN_HOME, 'data', 'users'),
    ),
    name: `${config.DATABASE_PREFIX}_users`,
    ...usersDatabase,
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
