import { createServer } from 'node:http';
import { join } from 'node:path';
import { locationFrom, openDatabase } from '@countersign/database';
import {
  connectRedis,
  createHealth,
  createLogger,
  createMetrics,
  drainServer,
  gatewayKeysUrl,
  listen,
  type Running,
  trustGateway,
} from '@countersign/service-kit';
import { createApp, newStamp } from './app.ts';
import type { UsersConfig } from './config.ts';
import { readSeed, seedMembers } from './seed.ts';
import { migrations } from './store/migrations.ts';
import { appRole, loginRole, type UsersSchema } from './store/schema.ts';

const name = 'users-service';

/**
 * Starts the service. It listens before it knows the gateway's keys, and answers 503 until then: two processes that wait for
 * each other never start.
 *
 * @throws StartupError when the database, the seed or the port is the trouble.
 */
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
    login: loginRole,
    roles: [appRole],
    migrations,
    onError: (error) => logger.warn({ err: error }, 'database connection lost'),
  });
  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, logger);
  const trust = trustGateway({ audience: name, keysUrl: gatewayKeysUrl(config), redis });
  trust.start();
  const release = async () => {
    trust.stop();
    redis?.disconnect();
    await db.close();
  };
  try {
    if (seed !== undefined) await seedMembers(db, seed, newStamp);
    const health = createHealth({ database: db.ping, gateway_keys: trust.check });
    const metrics = createMetrics();
    const server = createServer(createApp({ db, identity: trust.handler, health, metrics, logger, stamp: newStamp }));
    const port = await listen(server, { host: config.HOST, port: config.USERS_PORT }, name);
    logger.info({ port, database: db.kind }, 'listening');
    const stop = async () => {
      await drainServer(server, config.SHUTDOWN_GRACE_MS);
      await release();
    };
    return { health, logger, port, drainDelayMs: config.DRAIN_DELAY_MS, stop };
  } catch (error) {
    await release();
    throw error;
  }
}
