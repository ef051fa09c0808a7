import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Identity } from '@countersign/identity';
import type { Request } from 'express';
import { drainServer, listen } from '../http/listening.ts';
import type { ServiceParts } from '../http/service-app.ts';
import { createServiceServer } from '../http/service-server.ts';
import type { CommonConfig } from '../process/config.ts';
import { createHealth } from '../process/health.ts';
import type { Running } from '../process/lifecycle.ts';
import type { Logger } from '../process/logger.ts';
import { createMetrics } from '../process/metrics.ts';
import { connectRedis } from '../process/redis.ts';
import { type GatewayTrust, trustGateway } from './trust-gateway.ts';

/** The parts that {@link serveBehindGateway} creates for the app of a service. */
export type BehindGateway = Pick<ServiceParts, 'identity' | 'health' | 'metrics' | 'logger'>;

export type ServeOptions = Readonly<{
  /** The service's name: its audience in gateway.yaml. */
  name: string;
  port: number;
  config: CommonConfig;
  logger: Logger;
  /** An open database. It is closed when the service stops or fails to start. */
  database: Readonly<{ kind: string; ping(): Promise<string | undefined>; close(): Promise<void> }>;
  /** Whether the handler reads the body of this request as a stream, which the gateway's signature does not cover. */
  streams?: (req: Request) => boolean;
  /** Takes over sockets whose upgrade was verified, e.g. WebSockets. Absent: upgrades are served as plain requests. */
  upgrade?: (identity: Identity, req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Ends streams and background work, which never end by themselves, before the server drains. */
  beforeDrain?: () => Promise<void>;
  createApp(parts: BehindGateway): RequestListener | Promise<RequestListener>;
}>;

/**
 * Serves an app behind the gateway. It listens once it can verify requests, because a client can retry a refused
 * connection on another instance. It waits at most two seconds for the gateway and Redis, then answers 503 until they
 * are available. Without this limit, two processes that wait for each other would never start.
 *
 * @returns The running service and its port.
 * @throws StartupError when the port cannot be opened. ConfigError, see trustGateway. Errors of `createApp` pass
 * through.
 */
export async function serveBehindGateway(options: ServeOptions): Promise<Running & Readonly<{ port: number }>> {
  const { name, config, logger, database } = options;
  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, logger);
  const metrics = createMetrics();
  let trust: GatewayTrust | undefined;
  const release = async () => {
    trust?.stop();
    redis?.disconnect();
    await database.close();
  };
  try {
    trust = trustGateway({ audience: name, config, redis, logger, metrics, streams: options.streams });
    const isTrusting = trust.start();
    const health = createHealth({ database: () => database.ping(), ...trust.checks });
    const server = createServiceServer(await options.createApp({ identity: trust.handler, health, metrics, logger }));
    if (options.upgrade !== undefined) acceptUpgrades(server, trust, options);
    await isTrusting;
    const port = await listen(server, { host: config.HOST, port: options.port }, name);
    logger.info({ port, database: database.kind }, 'listening');
    const stop = async () => {
      await options.beforeDrain?.();
      await drainServer(server, config.SHUTDOWN_GRACE_MS);
      await release();
    };
    return { health, logger, port, drainDelayMs: config.DRAIN_DELAY_MS, stop };
  } catch (error) {
    await release();
    throw error;
  }
}

/** The server does not track upgraded sockets, so `beforeDrain` must end them. */
function acceptUpgrades(server: Server, trust: GatewayTrust, { upgrade, logger }: ServeOptions): void {
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    trust.upgrade(req, socket).then(
      (identity) => {
        if (identity !== undefined) upgrade?.(identity, req, socket, head);
      },
      (error: unknown) => logger.error({ err: error }, 'an upgrade failed'),
    );
  });
}
