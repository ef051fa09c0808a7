import * as kit from '@countersign/process-kit';
import { commonConfig, createServiceApp, trustGateway } from '@countersign/service-kit';
import { z } from 'zod';

// A process of `npm start`: returns the headers of each request that the gateway signed. The page at `/` shows them.

/** Credentials of the caller, which the response leaves out. */
const secrets = new Set(['authorization', 'cookie', 'txn-token']);

await kit.runProcess('echo', async () => {
  const config = kit.readConfig(z.object({ ...commonConfig, ECHO_PORT: kit.port(8085) }), process.env);
  const logger = kit.createLogger('echo', config.LOG_LEVEL);
  const metrics = kit.createMetrics();
  const trust = trustGateway({ audience: 'echo', config, redis: undefined, logger, metrics });
  const health = kit.createHealth(trust.checks);
  const routes = kit.createRouter().get('/demo/echo', kit.notStored, (req, res) => {
    res.json({ headers: Object.fromEntries(Object.entries(req.headers).filter(([name]) => !secrets.has(name))) });
  });
  const app = createServiceApp({ logger, health, metrics, errors: kit.commonErrors, identity: trust.handler, routes });
  const server = kit.createServiceServer(app);
  await trust.start();
  logger.info({ port: await kit.listen(server, { host: '127.0.0.1', port: config.ECHO_PORT }, 'echo') }, 'listening');
  const stop = async () => {
    await kit.drainServer(server, config.SHUTDOWN_GRACE_MS);
    trust.stop();
  };
  return { health, logger, drainDelayMs: config.DRAIN_DELAY_MS, stop };
});
