import { resolve } from 'node:path';
import {
  commonErrors,
  createHealth,
  createLogger,
  createMetrics,
  createServiceApp,
  createServiceServer,
  drainServer,
  listen,
  milliseconds,
  port,
  readConfig,
  runProcess,
} from '@countersign/service-kit';
import { z } from 'zod';
import { fileRoutes } from './files.ts';

const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  WEB_PORT: port(8084),
  /** The output of `npm run build`. */
  WEB_FILES: z.string().default(resolve(import.meta.dirname, '../dist')),
  /** The URL of the operators' console. Set it only if the users are also operators, as with `npm start`. */
  WEB_CONSOLE_URL: z.url().optional(),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  DRAIN_DELAY_MS: milliseconds(500),
  SHUTDOWN_GRACE_MS: milliseconds(10_000),
});

await runProcess('web', async () => {
  const config = readConfig(schema, process.env);
  const logger = createLogger('web', config.LOG_LEVEL);
  const health = createHealth({});
  const app = createServiceApp({
    logger,
    health,
    metrics: createMetrics(),
    errors: commonErrors,
    // The files are public, so requests are not verified.
    identity: (_req, _res, next) => next(),
    routes: fileRoutes({ directory: config.WEB_FILES, consoleUrl: config.WEB_CONSOLE_URL }),
  });
  const server = createServiceServer(app);
  const listening = await listen(server, { host: config.HOST, port: config.WEB_PORT }, 'web');
  logger.info({ port: listening }, 'listening');
  const stop = () => drainServer(server, config.SHUTDOWN_GRACE_MS);
  return { health, logger, drainDelayMs: config.DRAIN_DELAY_MS, stop };
});
