import {
  createHealth,
  createLogger,
  createMetrics,
  type Health,
  type Logger,
  type Registry,
} from '@countersign/service-kit';
import type { RequestHandler } from 'express';
import { registerGauges } from './admin/gauges.ts';
import { registerUpstreamMetrics } from './admin/upstream-metrics.ts';
import type { GatewayConfig } from './config/config.ts';
import { createProcessResources } from './snapshot/process-resources.ts';
import { readinessChecks } from './snapshot/readiness.ts';
import { type CurrentSnapshot, createCurrentSnapshot } from './snapshot/snapshot.ts';

export type GatewayMiddlewareOptions = Readonly<{
  /** Gets one line for each request. Default: JSON lines on standard output. */
  logger?: Logger;
  /** Gets the gateway's metrics. Default: a registry of its own. */
  metrics?: Registry;
  /** Unix milliseconds. Default: the system's clock. */
  nowMs?: () => number;
}>;

export type GatewayMiddleware = RequestHandler &
  Readonly<{
    /** Readiness: the gateway can sign, and knows the keys and revocations of every issuer. */
    health: Health;
    metrics: Registry;
    /**
     * The public keys with which services verify identity. Serve them at the URL that the services are given.
     *
     * @throws Error before the gateway has opened its keys.
     */
    publicKeys(): unknown;
    /** Closes what the gateway opened: connections to services, feeds and stores. Call it when the server no longer accepts requests. */
    close(): Promise<void>;
  }>;

const reviewMs = 1_000;

/**
 * Returns the gateway's public routes as Express middleware, for a server that is not the gateway's own.
 *
 * Mount it before body parsers, because it forwards the body as it arrives. It reads `originalUrl`. A request that matches no route of the
 * configuration goes to the next handler. Every other request is answered here, refusals included.
 *
 * The server's own settings apply to parsing. docs/middleware.md lists what only the gateway's own listener checks.
 *
 * @param config From `loadConfig`. Its listeners are not opened, and the file is not watched.
 */
export function countersignGateway(config: GatewayConfig, options: GatewayMiddlewareOptions = {}): GatewayMiddleware {
  const { logger = createLogger('gateway', 'info'), metrics = createMetrics(), nowMs = Date.now } = options;
  const nowSec = () => Math.floor(nowMs() / 1000);
  let isClosed = false;
  const resources = createProcessResources(config, {
    metrics,
    logger,
    keySets: undefined,
    isDraining: () => isClosed,
    nowMs,
  });
  const { connections, limitStore } = resources;
  let snapshot: CurrentSnapshot | undefined;
  const current = () => {
    if (snapshot === undefined) throw new Error('the gateway has not opened its configuration yet');
    return snapshot.current();
  };
  const opened = createCurrentSnapshot(structuredClone(config), resources).then((created) => {
    snapshot = created;
    limitStore?.start();
    created.current().start();
    registerGauges({ current, connections, nowMs }, metrics);
    registerUpstreamMetrics(() => current().upstreams.all(), metrics);
  });
  // Each request reports the failure too.
  opened.catch((error: unknown) => logger.fatal({ err: error }, 'the gateway cannot open its configuration'));
  const review = setInterval(connections.review, reviewMs).unref();

  const handle: RequestHandler = async (request, response, next) => {
    if (snapshot === undefined) await opened;
    return current().handlers.mounted(request, response, next);
  };
  return Object.assign(handle, {
    health: createHealth(readinessChecks(current, nowSec)),
    metrics,
    publicKeys: () => current().gatewayKeys.publicJwks(nowSec()),
    async close() {
      isClosed = true;
      clearInterval(review);
      connections.endAll();
      await opened.catch(() => {});
      snapshot?.close();
      limitStore?.close();
      await resources.shared.closed();
    },
  });
}
