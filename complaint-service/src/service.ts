import { createServer } from 'node:http';
import { join } from 'node:path';
import { locationFrom, openDatabase } from '@countersign/database';
import { serviceCaller } from '@countersign/identity';
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
import { v7 as uuidv7 } from 'uuid';
import { createApp } from './app.ts';
import { createAssigneeDirectory } from './assignee-directory.ts';
import { type ComplaintsConfig, gatewayInternalUrl } from './config.ts';
import { migrations } from './store/migrations.ts';
import { appRole, type ComplaintsSchema, loginRole } from './store/schema.ts';

const name = 'complaint-service';
// Somebody waits for the answer, and can try again.
const nestedCallMs = 3_000;

/**
 * Starts the service. It listens before it knows the gateway's keys, and answers 503 until then: two processes that wait for
 * each other never start.
 *
 * @throws StartupError when the database or the port is the trouble.
 */
export async function start(
  config: ComplaintsConfig,
  logger = createLogger(name, config.LOG_LEVEL),
): Promise<Running & Readonly<{ port: number }>> {
  const db = await openDatabase<ComplaintsSchema>({
    location: locationFrom(
      config.COMPLAINTS_DATABASE_URL,
      config.DATABASE_URL,
      join(config.COUNTERSIGN_HOME, 'data', 'complaints'),
    ),
    name: `${config.DATABASE_PREFIX}_complaints`,
    login: loginRole,
    roles: [appRole],
    migrations,
    onError: (error) => logger.warn({ err: error }, 'database connection lost'),
  });
  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, logger);
  const trust = trustGateway({ audience: name, keysUrl: gatewayKeysUrl(config), redis });
  trust.start();
  const callService = serviceCaller({
    gatewayUrl: gatewayInternalUrl(config),
    key: config.SERVICE_KEY,
    timeoutMs: nestedCallMs,
  });
  const release = async () => {
    trust.stop();
    redis?.disconnect();
    await db.close();
  };
  try {
    const health = createHealth({ database: db.ping, gateway_keys: trust.check });
    const metrics = createMetrics();
    const app = createApp(
      { identity: trust.handler, health, metrics, logger },
      { db, newId: uuidv7, now: () => new Date(), assignees: createAssigneeDirectory(callService) },
    );
    const server = createServer(app);
    const port = await listen(server, { host: config.HOST, port: config.COMPLAINTS_PORT }, name);
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
