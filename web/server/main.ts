import { join, resolve } from 'node:path';
import * as kit from '@countersign/process-kit';
import { createServiceApp } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { demoErrors, demoProblems, demoRoutes } from './demo.ts';
import { fileRoutes } from './files.ts';
import { mailErrors, mailRoutes } from './mails.ts';

const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  WEB_PORT: kit.port(8084),
  /** The output of `npm run build`. */
  WEB_FILES: z.string().default(resolve(import.meta.dirname, '../dist')),
  /** The URL of the operators' console. Set it only if the users are also operators, as with `npm start`. */
  WEB_CONSOLE_URL: z.url().optional(),
  /** `1` shows the demonstration of `npm start` at `/`. */
  WEB_DEMO: z.enum(['0', '1']).default('0'),
  /** The origins of the gateway. Default: this machine's, with GATEWAY_PORT. */
  WEB_PUBLIC_ORIGINS: kit.originList.optional(),
  GATEWAY_PORT: kit.port(8080),
  ECHO_PORT: kit.port(8085),
  /** Where the services write their emails, in `mail`. */
  COUNTERSIGN_HOME: z.string().default(resolve(import.meta.dirname, '../../.countersign')),
  /** The accounts of the demonstration. */
  SEED_FILE: z.string().default(resolve(import.meta.dirname, '../../infra/run/demo-tenants.json')),
  NODE_ENV: z.string().optional(),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  DRAIN_DELAY_MS: kit.milliseconds(500),
  SHUTDOWN_GRACE_MS: kit.milliseconds(10_000),
});

type Config = z.infer<typeof schema>;

/** @throws ConfigError if the demonstration must not run here. */
function demoOf(config: Config): Router {
  const { WEB_PUBLIC_ORIGINS: given, GATEWAY_PORT: gatewayPort } = config;
  const origins = given ?? ['127.0.0.1', 'localhost'].map((host) => `http://${host}:${gatewayPort}`);
  const problems = demoProblems(config.NODE_ENV, config.HOST, origins);
  if (problems.length > 0) throw new kit.ConfigError(problems);
  const { SEED_FILE: seedFile, ECHO_PORT: echoPort, WEB_CONSOLE_URL: consoleUrl = 'http://127.0.0.1:9090/' } = config;
  const mailsUrl = `http://127.0.0.1:${config.WEB_PORT}/mails`;
  const demo = demoRoutes({ seedFile, origins, echoPort, consoleUrl, mailsUrl, nowMs: () => performance.now() });
  return demo.use(mailRoutes(join(config.COUNTERSIGN_HOME, 'mail')));
}

await kit.runProcess('web', async () => {
  const config = kit.readConfig(schema, process.env);
  const logger = kit.createLogger('web', config.LOG_LEVEL);
  const health = kit.createHealth({});
  const routes = kit.createRouter();
  if (config.WEB_DEMO === '1') routes.use(demoOf(config));
  routes.use(fileRoutes({ directory: config.WEB_FILES, consoleUrl: config.WEB_CONSOLE_URL }));
  const app = createServiceApp({
    logger,
    health,
    metrics: kit.createMetrics(),
    errors: { ...kit.commonErrors, ...demoErrors, ...mailErrors },
    // The files are public, so requests are not verified.
    identity: (_req, _res, next) => next(),
    routes,
  });
  const server = kit.createServiceServer(app);
  const listening = await kit.listen(server, { host: config.HOST, port: config.WEB_PORT }, 'web');
  logger.info({ port: listening }, 'listening');
  const stop = () => kit.drainServer(server, config.SHUTDOWN_GRACE_MS);
  return { health, logger, drainDelayMs: config.DRAIN_DELAY_MS, stop };
});
