// A small process for lifecycle.int.test.ts. /slow answers only after SIGTERM starts the drain.
import { createServer } from 'node:http';
import express from 'express';
import { z } from 'zod';
import {
  createHealth,
  createLogger,
  createMetrics,
  drainServer,
  healthRoutes,
  listen,
  port,
  processConfig,
  readConfig,
  runProcess,
} from '../src/index.ts';

await runProcess('fixture', async () => {
  const config = readConfig(z.object({ ...processConfig, FIXTURE_PORT: port(0) }), process.env);
  const logger = createLogger('fixture', config.LOG_LEVEL);
  const health = createHealth({});
  const filler = 'x'.repeat(500);
  let logged = 0;
  const app = express();
  app.use(healthRoutes(health, createMetrics()));
  app.get('/slow', (_req, res) => {
    const look = setInterval(() => {
      if (!health.draining) return;
      clearInterval(look);
      res.end('answered');
    }, 10);
    process.stdout.write('slow request is in\n');
  });
  app.get('/log-much', (_req, res) => {
    for (let count = 0; count < 1_000; count += 1) logger.info({ n: logged + count, filler }, 'loud');
    logged += 1_000;
    res.end();
  });
  app.get('/log-one', (_req, res) => {
    logger.info({ n: 'one' }, 'one');
    res.end();
  });
  const logFew = () => {
    for (let count = 0; count < 20; count += 1) logger.info({ n: count }, 'one of few');
  };
  app.get('/log-error', (req, res) => {
    logFew();
    logger.error('wrong');
    // Nothing else can write the lines, because this turn of the event loop never ends.
    if (req.query.block !== undefined) for (;;);
    res.end();
  });
  app.get('/log-then-throw', () => {
    logFew();
    setImmediate(() => {
      throw new Error('thrown on purpose');
    });
  });
  app.get('/log-then-exit', () => {
    logFew();
    process.exit(3);
  });
  const server = createServer(app);
  const bound = await listen(server, { host: config.HOST, port: config.FIXTURE_PORT }, 'listener');
  process.stdout.write(`listening on ${bound}\n`);
  return {
    health,
    logger,
    drainDelayMs: config.DRAIN_DELAY_MS,
    stop: () => drainServer(server, config.SHUTDOWN_GRACE_MS),
  };
});
