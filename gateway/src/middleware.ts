import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  createLogger,
  createMetrics,
  type Environment,
  type Health,
  type Logger,
  type Registry,
} from '@countersign/process-kit';
import type { RequestHandler } from 'express';
import type { GatewayConfig } from './config/config.ts';
import { Gateway } from './gateway.ts';
import type { ReloadState } from './reload/reload.ts';

export type GatewayMiddlewareOptions = Readonly<{
  /** Receives one line per request. Default: writes JSON lines to standard output. */
  logger?: Logger;
  /** The registry for the gateway's metrics. Default: a new one. */
  metrics?: Registry;
  /** Unix milliseconds. Default: the system clock. */
  nowMs?: () => number;
  /** The variables that a reload substitutes into the file. Default: none. */
  env?: Environment;
  /** Whether to apply the file when it changes. Default: only `reload` reads it again. */
  watch?: boolean;
}>;

export type GatewayMiddleware = RequestHandler &
  Readonly<{
    /** Serves WebSockets. Pass it to the server: `server.on('upgrade', gateway.upgrade)`. */
    upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
    /**
     * Whether the gateway is ready: it can sign, and it knows the keys and revocations of every issuer or has waited
     * ten seconds for them.
     */
    health: Pick<Health, 'ready'>;
    metrics: Registry;
    /**
     * Returns the public keys that services verify identity headers with. Serve them at the URL that the services use.
     */
    publicKeys(): unknown;
    /** Finds a document about identity tokens by its path: their key set, or an upstream's metadata. */
    published(path: string): object | undefined;
    /** Reads the file again. An invalid file changes nothing, and the result lists its problems. */
    reload(): Promise<ReloadState>;
    /**
     * Closes everything that the gateway opened: connections to services, feeds and stores. Call it once the server no
     * longer accepts requests.
     */
    close(): Promise<void>;
  }>;

/**
 * Returns the gateway's public routes as Express middleware. `countersign serve` mounts the same handlers.
 *
 * Mount it before body parsers, because it forwards the body as it arrives. It reads `originalUrl`. A request that
 * matches no configured route goes to the next handler. The gateway answers every other request, including those that
 * it refuses.
 *
 * The server's own settings apply to parsing. docs/middleware.md lists what only the gateway's own listener checks.
 *
 * @param config From `loadConfig`. The gateway does not open the listeners in it.
 * @throws StartupError if a file that the configuration names is unusable.
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
  const { health, reloader, keySet, published } = gateway;
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
    published,
    reload: reloader.reload,
    close() {
      gateway.drain();
      return gateway.close();
    },
  });
}
