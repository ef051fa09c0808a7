import { join } from 'node:path';
import { locationFrom, openDatabase } from '@countersign/database';
import { serviceCaller } from '@countersign/identity';
import { createLogger, gatewayInternalUrl, type Running, serveBehindGateway } from '@countersign/service-kit';
import { v7 as uuidv7 } from 'uuid';
import { createApp } from './app.ts';
import type { ComplaintsConfig } from './config.ts';
import { createPeopleDirectory } from './directory/people-directory.ts';
import { complaintsDatabase } from './store/database.ts';
import type { ComplaintsSchema } from './store/schema/schema.ts';

const name = 'complaint-service';
// Short, because a client waits for the answer and can try again.
const nestedCallMs = 3_000;

/** Starts the service. @throws StartupError when the database or the port cannot be used. */
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
    ...complaintsDatabase,
    onError: (error) => logger.warn({ err: error }, 'database connection lost'),
  });
  const callService = serviceCaller({
    gatewayUrl: gatewayInternalUrl(config),
    key: config.SERVICE_KEY,
    timeoutMs: nestedCallMs,
  });
  const people = createPeopleDirectory(callService, { logger });
  return serveBehindGateway({
    name,
    port: config.COMPLAINTS_PORT,
    config,
    logger,
    database: db,
    createApp: (parts) => createApp(parts, { db, newId: uuidv7, now: () => new Date(), people }),
  });
}
