import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  createLogger,
  createMetrics,
  type Environment,
  type Health,
  type Logger,
  type Registry,
} from '@countersign/service-kit';
import type { RequestHandler } from 'express';
import type { GatewayConfig } from './config/config.ts';
import { Gateway } from './gateway.ts';
import type { ReloadState } from './reload/reload.ts';

export type GatewayMiddlewareOptions = Readonly<{
  /** Receives one line per request. Default: JSON lines on standard output. */
  logger?: Logger;
  /** The registry for the gateway's metrics. Default: a new one. */
  metrics?: Registry;
  /** Unix milliseconds. Default: the system's clock. */
  nowMs?: () => number;
  /** The variables that a reload substitutes in the file. Default: none. */
  env?: Environment;
  /** Whether to apply the file when it changes. Default: only `reload` reads it again. */
  watch?: boolean;
}>;

export type GatewayMiddleware = RequestHandler &
  Readonly<{
    /** Serves WebSockets. Pass it to the server: `server.on('upgrade', gateway.upgrade)`. */
    upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
    /**
     * Readiness: the gateway can sign, and knows the keys and revocations of every issuer or has waited ten seconds for
     * them.
     */
    health: Pick<Health, 'ready'>;
    metrics: Registry;
    /**
     * The public keys that services verify identity with. Serve them at the URL that the services are configured with.
     */
    publicKeys(): unknown;
    /** Reads the file again. A bad file changes nothing, and the result contains its problems. */
    reload(): Promise<ReloadState>;
    /**
     * Closes what the gateway opened: connections to services, feeds and stores. Call it when the server no longer
     * accepts requests.
     */
    close(): Promise<void>;
  }>;

/**
 * Returns the gateway's public routes as Express middleware. `countersign serve` mounts the same handlers.
 *
 * Mount it before body parsers, because it forwards the body as it arrives. It reads `originalUrl`. A request that
 * matches no route of the configuration goes to the next handler. Every other request is answered here, refusals
 * included.
 *
 * The server's own settings apply to parsing. docs/middleware.md lists what only the gateway's own listener checks.
 *
 * @param config From `loadConfig`. Its listeners are not opened.
 * @throws StartupError if a file that the configuration names cannot be used.
 */
export function countersignGateway(config: GatewayConfig, options: GatewayMiddlewareOptions = {}): GatewayMiddleware {
  const {
    logger = createLogger('gateway', 'info'),
    metrics = createMetrics(),
    nowMs,
    env = {},
    watch = false,
  } = options;
  const gateway = new Gateway(config, { logger, metrics, nowMs, env, unmatched: 'next' });
  const { health, reloader, keySet } = gateway;
  gateway.start();
  if (watch) void reloader.start();

  const handle: RequestHandler = (request, response, next) =>
    reloader.current.handlers.public.request(request, response, next);
  return Object.assign(handle, {
    upgrade(request: IncomingMessage, socket: Duplex, head: Buffer) {
      reloader.current.handlers.public.upgrade(request, socket, head);
    },
    health,
    metrics,
    publicKeys: keySet,
    reload: reloader.reload,
    close() {
      gateway.drain();
      return gateway.close();
    },
  });
}
