import type { RequestListener } from 'node:http';
import { drainServer, listen } from '../http/listening.ts';
import type { ServiceParts } from '../http/service-app.ts';
import { createServiceServer } from '../http/service-server.ts';
import type { CommonConfig } from '../process/config.ts';
import { createHealth } from '../process/health.ts';
import type { Running } from '../process/lifecycle.ts';
import type { Logger } from '../process/logger.ts';
import { createMetrics } from '../process/metrics.ts';
import { connectRedis } from '../process/redis.ts';
import { trustGateway } from './trust-gateway.ts';

export type BehindGateway = Readonly<{
  /** The service's name: its audience in gateway.yaml. */
  name: string;
  port: number;
  config: CommonConfig;
  logger: Logger;
  /** Open already; closed when the service stops or cannot start. */
  database: Readonly<{ kind: string; ping(): Promise<string | undefined>; close(): Promise<void> }>;
  createApp(
    parts: Pick<ServiceParts, 'identity' | 'health' | 'metrics' | 'logger'>,
  ): RequestListener | Promise<RequestListener>;
}>;

/**
 * Serves an app whose one dependency is its database. It listens once it can judge requests: a connection that is refused can go to
 * another instance, a request that is refused cannot. A gateway or a Redis that is not there is waited for only shortly, and requests
 * are answered with 503 until it is: two processes that wait for each other never start.
 *
 * @returns What is running, and the port in use.
 * @throws StartupError when the port is the trouble, and whatever `createApp` throws.
 */
export async function serveBehindGateway(options: BehindGateway): Promise<Running & Readonly<{ port: number }>> {
  const { name, config, logger, database } = options;
  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, logger);
  const metrics = createMetrics();
  const trust = trustGateway({ audience: name, config, redis, logger, metrics });
  const isTrusting = trust.start();
  const release = async () => {
    trust.stop();
    redis?.disconnect();
    await database.close();
  };
  try {
    const health = createHealth({ database: () => database.ping(), ...trust.checks });
    const server = createServiceServer(await options.createApp({ identity: trust.handler, health, metrics, logger }));
    await isTrusting;
    const port = await listen(server, { host: config.HOST, port: options.port }, name);
    logger.info({ port, database: database.kind }, 'listening');
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
