import { createMetrics, createServiceServer, drainServer, listen, type Running } from '@countersign/process-kit';
import { createAdminApp, createStateReader, stateRoutes } from './admin/admin-app.ts';
import { requireAdminHost } from './admin/admin-security.ts';
import type { ConsoleData } from './admin/api/admin-api.ts';
import { apiAndPages, createConsole, createObservations } from './admin/console.ts';
import type { GatewayConfig } from './config/config.ts';
import { version } from './config/version.ts';
import { buildDecisionListener, listenForProxy } from './decision/decision-listener.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import { createListener, type ListenerTimes } from './listen/listener.ts';
import { createListenerApp } from './listen/request-handler.ts';
import type { ConfigReloader } from './reload/reload.ts';
import { reportCounts, reportReady, type WorkerAnswers } from './workers/worker-process.ts';

export type GatewayDeps = Pick<GatewayOptions, 'env' | 'logger' | 'reloadTiming' | 'load' | 'nowMs' | 'keySets'> &
  Readonly<{
    /** How long to wait before draining. Default: 500 ms. */
    drainDelayMs?: number;
    /** How long requests in progress may take when the gateway stops. Default: 10 s. */
    shutdownGraceMs?: number;
    listenerTimes?: ListenerTimes;
    /** Set only in a worker process, which responds to its primary and has no admin listener. */
    workers?: number | undefined;
  }>;

export type RunningGateway = Running &
  Readonly<{
    /** In a worker, `admin` is 0. */
    ports: Readonly<{ public: number; admin: number; internal: number; decision?: number; events?: number }>;
    /** Reads the file again, changed or not. */
    reload: ConfigReloader['reload'];
  }>;

/**
 * Builds and starts a gateway.
 *
 * @throws StartupError if keys cannot be loaded or a port is taken. It then closes everything.
 */
export async function startGateway(config: GatewayConfig, deps: GatewayDeps): Promise<RunningGateway> {
  return buildGateway(config, deps).start();
}

/**
 * Builds everything that a gateway needs to serve requests. `countersign check` stops here.
 *
 * Everything created here lives as long as the process. A {@link Snapshot} holds what depends on one configuration.
 *
 * @returns A gateway that has read its files, but does not listen and has not used the network.
 * @throws StartupError if a file that the configuration names is unusable. It then closes everything.
 */
export function buildGateway(config: GatewayConfig, deps: GatewayDeps) {
  const {
    logger,
    drainDelayMs = 500,
    shutdownGraceMs = 10_000,
    nowMs = Date.now,
    listenerTimes: times,
    workers,
  } = deps;
  const { certificate } = config;
  const metrics = createMetrics();
  const observer = config.admin.console ? createObservations(nowMs) : undefined;
  const gateway = new Gateway(config, { ...deps, metrics, observer, unmatched: 'refuse' });
  const { resources, reloader, current, health, published } = gateway;
  const { traffic, tokenOutcomes, connections, limitStore } = resources;
  const operatorConsole =
    observer &&
    traffic &&
    createConsole(
      {
        ...observer,
        current,
        health,
        reloadState: reloader.state,
        traffic,
        tokenOutcomes,
        openConnections: () => connections.size,
        redisStatus: () => limitStore?.redis.status,
        nowMs,
        version: version(),
      },
      logger,
    );
  const states = createStateReader({ published, current, nowMs, reloadState: reloader.state });
  const { data } = operatorConsole ?? {};
  const routers = [stateRoutes(states), ...(data === undefined ? [] : apiAndPages(data, nowMs))];
  const servers = {
    internal: createListener(createListenerApp(reloader, 'internal', published), { times }),
    admin: createServiceServer(
      createAdminApp({
        health,
        metrics,
        logger,
        requireHost: requireAdminHost(config),
        routers,
      }),
    ),
    public: createListener(createListenerApp(reloader, 'public'), {
      // A reload can replace the certificate, but cannot turn TLS on or off.
      certificateNow: certificate && (() => current().config.certificate ?? certificate),
      times,
    }),
  };

  const proxied = config.listen.decision && {
    address: config.listen.decision,
    ...buildDecisionListener(reloader, () => current().config, times),
  };

  // Like the public listener: providers call it from outside.
  const events = config.listen.events && {
    address: config.listen.events,
    server: createListener(createListenerApp(reloader, 'events'), {
      certificateNow: certificate && (() => current().config.certificate ?? certificate),
      times,
      upgrades: false,
    }),
  };

  const answers: WorkerAnswers = {
    alive: () => true,
    ready: health.ready,
    metrics: () => metrics.getMetricsAsJSON(),
    state: states,
    // Without a console, the primary does not ask for its data.
    ...(data as ConsoleData),
  };

  async function stop(): Promise<void> {
    gateway.drain();
    proxied?.drainHttp2(shutdownGraceMs);
    await Promise.all([
      drainServer(servers.public, shutdownGraceMs),
      proxied && drainServer(proxied.server, shutdownGraceMs),
      events && drainServer(events.server, shutdownGraceMs),
    ]);
    // Closed after the public listener, because public requests in progress may need nested calls.
    await drainServer(servers.internal, shutdownGraceMs);
    operatorConsole?.stop();
    await gateway.close();
    if (workers !== undefined) await reportCounts(metrics);
    // Closed last, so that an orchestrator sees "not ready" until the end instead of a refused connection.
    await drainServer(servers.admin, shutdownGraceMs);
  }

  /**
   * Services need the key set of the internal listener to become ready, and may start at the same time.
   *
   * @throws StartupError if a port is taken. It then closes everything.
   */
  async function start(): Promise<RunningGateway> {
    try {
      const internal = await listen(servers.internal, config.listen.internal, 'internal listener');
      const admin = workers === undefined ? await listen(servers.admin, config.listen.admin, 'admin listener') : 0;
      gateway.start();
      void reloader.start();
      operatorConsole?.start();
      const ports = {
        public: await listen(servers.public, config.listen.public, 'public listener'),
        admin,
        internal,
        ...(events && { events: await listen(events.server, events.address, 'events listener') }),
        ...(proxied && { decision: await listenForProxy(proxied.server, proxied.address, config) }),
      };
      logger.info({ ports, routes: config.routes.length, config: config.hash.slice(0, 12) }, 'gateway listens');
      if (workers !== undefined) reportReady(ports, answers);
      return { health, logger, drainDelayMs, ports, reload: reloader.reload, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  }

  return { start, stop };
}
