import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Identity } from '@countersign/identity';
import * as kit from '@countersign/process-kit';
import { openTracing, type Tracing } from '@countersign/tracing';
import type { Request, RequestHandler } from 'express';
import type { Redis } from 'ioredis';
import type { ServiceParts } from '../http/service-app.ts';
import type { CommonConfig } from './common-config.ts';
import { type GatewayTrust, trustGateway } from './trust-gateway.ts';

/** What {@link startBehindGateway} creates for a service's app. */
export type BehindGateway = Pick<ServiceParts, 'identity' | 'health' | 'metrics' | 'logger' | 'tracing'>;

export type BehindGatewayParts = BehindGateway &
  Readonly<{
    /** For a service that serves its own key set, see `ServiceParts.publishKeys`. */
    publishKeys: RequestHandler;
    redis: Redis | undefined;
    /** Readiness checks. A service can add its own. */
    checks: Record<string, kit.HealthCheck>;
    /** Closes a resource when the service has drained or fails to start. Resources close in reverse order. */
    onClose(close: () => unknown): void;
  }>;

export type StartOptions = Readonly<{
  /** The service's name, which is its audience in gateway.yaml. */
  name: string;
  port: number;
  config: CommonConfig;
  logger: kit.Logger;
  /** An open database, which is closed when the service stops or fails to start. */
  database: Readonly<{ kind: string; ping(): Promise<string | undefined>; close(): Promise<void> }>;
  /** Whether the handler reads this request's body as a stream, which the gateway's signature does not cover. */
  streams?: (req: Request) => boolean;
  /** Takes over the sockets of verified upgrades. If undefined, upgrades are served as plain requests. */
  upgrade?: (identity: Identity, req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Ends streams while the server drains, because they never end by themselves. */
  onDrain?: () => Promise<void>;
  createApp(parts: BehindGatewayParts): RequestListener | Promise<RequestListener>;
}>;

/**
 * Starts an app behind the gateway. Listens only once it can verify requests, because a refused connection can be
 * retried on another instance. Waits at most two seconds for the gateway and Redis, then responds with 503 until they
 * are available. Without this limit, two processes that wait for each other would never start.
 *
 * @returns The running service and its port.
 * @throws StartupError if the port cannot be opened. ConfigError, see `trustGateway`. Any error from `createApp`.
 */
export async function startBehindGateway(options: StartOptions): Promise<kit.Running & Readonly<{ port: number }>> {
  const { name, config, logger, database } = options;
  const metrics = kit.createMetrics();
  const closers = [() => database.close() as unknown];
  const onClose = (close: () => unknown) => void closers.unshift(close);
  const closeAll = async () => {
    for (const close of closers) await close();
  };
  try {
    const redis = config.REDIS_URL === undefined ? undefined : kit.connectRedis(config.REDIS_URL, logger);
    onClose(() => redis?.disconnect());
    const trust = trustGateway({ audience: name, config, redis, logger, metrics, streams: options.streams });
    onClose(() => trust.stop());
    const isTrusting = trust.start();
    const checks = { database: () => database.ping(), ...trust.checks };
    const health = kit.createHealth(checks);
    const { handler: identity, publishKeys } = trust;
    const tracing = openTraces(name, config, logger);
    onClose(() => tracing?.close());
    const parts = { identity, publishKeys, health, metrics, logger, tracing };
    const app = await options.createApp({ ...parts, redis, checks, onClose });
    const server = kit.createServiceServer(app);
    if (options.upgrade !== undefined) acceptUpgrades(server, trust, options);
    await isTrusting;
    const port = await kit.listen(server, { host: config.HOST, port: options.port }, name);
    logger.info({ port, database: database.kind }, 'listening');
    const stop = async () => {
      await Promise.all([kit.drainServer(server, config.SHUTDOWN_GRACE_MS), options.onDrain?.()]);
      await closeAll();
    };
    return { health, logger, port, drainDelayMs: config.DRAIN_DELAY_MS, stop };
  } catch (error) {
    await closeAll().catch((failure) => logger.error({ err: failure }, 'a resource could not be closed'));
    throw error;
  }
}

/** @throws ConfigError if spans would travel unencrypted. */
function openTraces(service: string, config: CommonConfig, logger: kit.Logger): Tracing | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_INSECURE: isInsecure } = config;
  if (endpoint === undefined) return undefined;
  if (kit.isPlainHttp(new URL(endpoint).href) && !isInsecure)
    throw new kit.ConfigError([
      'OTEL_EXPORTER_OTLP_ENDPOINT: plain http leaves this machine: use https, or set OTEL_EXPORTER_OTLP_INSECURE=true where the network is trusted',
    ]);
  return openTracing({ service, endpoint, logger });
}

/** The server does not track upgraded sockets, so `onDrain` must end them. */
function acceptUpgrades(server: Server, trust: GatewayTrust, { upgrade, logger }: StartOptions): void {
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    trust.upgrade(req, socket).then(
      (identity) => {
        if (identity !== undefined) upgrade?.(identity, req, socket, head);
      },
      (error: unknown) => logger.error({ err: error }, 'an upgrade failed'),
    );
  });
}
