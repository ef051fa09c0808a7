import { memoryReplay, redisReplay } from '@countersign/identity';
import {
  createHealth,
  createMetrics,
  createServiceServer,
  drainServer,
  type Environment,
  type Logger,
  listen,
  type Running,
} from '@countersign/service-kit';
import { createAdminApp } from './admin/admin-app.ts';
import { demandAdminHost } from './admin/admin-host.ts';
import { watch } from './admin/gauges.ts';
import { watchReloads } from './admin/reload-metrics.ts';
import { watchUpstreams } from './admin/upstream-metrics.ts';
import type { GatewayConfig } from './config/config.ts';
import { createLoadAside, type LoadAside } from './config/load-aside.ts';
import { openLimitStore } from './limits/limit-store.ts';
import { createSocketCount } from './limits/socket-count.ts';
import { createRespond } from './respond.ts';
import { createListener, type ListenerTimes } from './server/listener.ts';
import { createGenerations, type Generations } from './snapshot/current-snapshot.ts';
import type { KeySetTiming } from './snapshot/issuer-parts.ts';
import { createReloader, type Reloader, type ReloadTiming } from './snapshot/reload.ts';
import { createKeptParts } from './snapshot/shared-resources.ts';
import type { Generation, Lasting } from './snapshot/snapshot.ts';
import { createObserve } from './telemetry/access-log.ts';
import { observeLag } from './telemetry/revocation-lag.ts';
import { createReplayCheck } from './tokens/dpop/dpop-readiness.ts';
import { createFailureThrottle } from './tokens/failure-throttle.ts';
import { createOpenConnections } from './upstreams/pool/open-connections.ts';
import { listenOnSocket, workerAdminRoutes } from './workers/worker-admin.ts';

export type GatewayDeps = Readonly<{
  /** Where the file's variables come from when it is read again. */
  env: Environment;
  logger: Logger;
  /** Default 500 ms. */
  drainDelayMs?: number;
  /** How long requests in flight may take when the gateway stops. Default 10 s. */
  shutdownGraceMs?: number;
  reloadTiming?: ReloadTiming | undefined;
  /** Reads the file when it changed. Default: in a thread of its own. */
  load?: LoadAside['load'] | undefined;
  /** Unix milliseconds. Default: the system's clock. */
  nowMs?: () => number;
  keySets?: KeySetTiming;
  listenerTimes?: ListenerTimes;
  /** This process is one of several: its admin listener is for the primary. */
  worker?: WorkerDeps | undefined;
}>;

export type WorkerDeps = Readonly<{
  adminSocket: string;
  workers: number;
  /** Settles when this process may stop taking connections. */
  mayClose(): Promise<void>;
}>;

export type RunningGateway = Running &
  Readonly<{
    ports: Readonly<{ public: number; admin: number; internal: number }>;
    /** Reads the file anew, changed or not. */
    reload: Reloader['reload'];
  }>;

const reviewMs = 1_000;
const refusedTokensPerMinute = 600;

/** A gateway before it starts: it has read its files, listens nowhere, and has asked nothing over the network. */
export type BuiltGateway = Readonly<{
  /** @throws StartupError, with everything closed again, when a port is taken. */
  start(): Promise<RunningGateway>;
  stop(): Promise<void>;
}>;

/**
 * Builds a gateway and starts it.
 *
 * @throws StartupError, with everything closed again, when keys cannot be loaded or a port is taken.
 */
export async function serveGateway(config: GatewayConfig, deps: GatewayDeps): Promise<RunningGateway> {
  const gateway = await buildGateway(config, deps);
  return gateway.start();
}

/**
 * Builds all that a gateway serves with; `countersign check` does this and no more.
 *
 * What is made here lives as long as the process; what is made from one configuration is a {@link Generation}.
 *
 * @throws StartupError, with everything closed again, when a file that the configuration names cannot be used.
 */
export async function buildGateway(config: GatewayConfig, deps: GatewayDeps): Promise<BuiltGateway> {
  const {
    logger,
    drainDelayMs = 500,
    shutdownGraceMs = 10_000,
    nowMs = Date.now,
    env,
    reloadTiming,
    keySets,
    listenerTimes,
    worker,
  } = deps;
  const { certificate } = config;
  const nowSec = () => Math.floor(nowMs() / 1000);
  const metrics = createMetrics();
  const respond = createRespond();
  const open = createOpenConnections(nowMs);
  const store = config.redis === undefined ? undefined : openLimitStore(config.redis, logger);
  const parts = createKeptParts({ open, nowMs, logger, keySets, onRevocationLag: observeLag(metrics) });
  const lasting: Lasting = {
    parts,
    open,
    throttle: createFailureThrottle(refusedTokensPerMinute, nowMs),
    limitStore: store,
    // Where Redis is gone nested calls and proofs wait for it: whether one is a replay can then not be known.
    replay: store === undefined ? memoryReplay({ nowMs }) : redisReplay(store.redis),
    sockets: createSocketCount(),
    uploads: createSocketCount(),
    respond,
    observe: createObserve(logger, metrics),
    isDraining: () => health.draining,
    nowMs,
  };
  // A copy, so that it is made of the same stuff as those that come from the reading thread, and compares with them.
  const generations = await firstGeneration(structuredClone(config), lasting, () => store?.close());
  const { current } = generations;
  const health = createHealth({
    ...readinessOf(current, nowSec),
    dpop_replay: createReplayCheck(() => current().config, lasting.replay, nowMs),
  });
  watch({ current, open, nowMs }, metrics);
  watchUpstreams(() => current().upstreams.all(), metrics);
  const aside = createLoadAside();
  const { load = aside.load } = deps;
  const reloader: Reloader = createReloader({
    generations,
    load: () => load(config.file, env, { running: config, workers: worker?.workers ?? 1 }),
    count: watchReloads({ current, reloads: () => reloader.state() }, metrics),
    logger,
    nowMs,
    timing: reloadTiming,
  });
  const keySet = () => current().gatewayKeys.publicJwks(nowSec());
  const servers = {
    internal: createListener(() => current().handlers.internal, { times: listenerTimes }),
    admin: createServiceServer(
      createAdminApp({
        health,
        metrics,
        keySet,
        current,
        nowMs,
        reloads: reloader.state,
        logger,
        demandHost: worker === undefined ? demandAdminHost(config) : undefined,
        more: worker && workerAdminRoutes(metrics),
      }),
    ),
    public: createListener(() => current().handlers.public, {
      // Whether there is one is settled when the process starts.
      certificateNow: certificate && (() => current().config.certificate ?? certificate),
      times: listenerTimes,
    }),
  };
  let review: NodeJS.Timeout | undefined;

  async function stop(): Promise<void> {
    reloader.stop();
    await aside.stop();
    health.drain();
    open.endAll();
    await worker?.mayClose();
    await drainServer(servers.public, shutdownGraceMs);
    // Later: a public request that is being finished may need nested calls.
    await drainServer(servers.internal, shutdownGraceMs);
    clearInterval(review);
    generations.end();
    store?.close();
    await parts.closed();
    // Last, so that an orchestrator sees "not ready" rather than nothing until the end.
    await drainServer(servers.admin, shutdownGraceMs);
  }

  /** The key set is served first: services need it to become ready, and readiness never waits for a peer's. */
  async function start(): Promise<RunningGateway> {
    review = setInterval(open.review, reviewMs).unref();
    store?.start();
    try {
      const internal = await listen(servers.internal, config.listen.internal, 'internal listener');
      const admin =
        worker === undefined
          ? await listen(servers.admin, config.listen.admin, 'admin listener')
          : await listenOnSocket(servers.admin, worker.adminSocket);
      current().start();
      reloader.start();
      const ports = { public: await listen(servers.public, config.listen.public, 'public listener'), admin, internal };
      logger.info({ ports, routes: config.routes.length, config: config.hash.slice(0, 12) }, 'gateway listens');
      return { health, logger, drainDelayMs, ports, reload: reloader.reload, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  }

  return { start, stop };
}

async function firstGeneration(config: GatewayConfig, lasting: Lasting, closeAround: () => void): Promise<Generations> {
  try {
    return await createGenerations(config, lasting);
  } catch (error) {
    closeAround();
    throw error;
  }
}

/** Own parts, and what has to be known of the issuers before any token can be judged. */
function readinessOf(current: () => Generation, nowSec: () => number): Parameters<typeof createHealth>[0] {
  const missing = (what: string, names: readonly string[]) =>
    names.length === 0 ? undefined : `no ${what} of ${names.join(', ')} yet`;
  return {
    signing_key() {
      current().gatewayKeys.signingKey(nowSec());
      return undefined;
    },
    issuer_keys: () => missing('keys', current().missing().keys),
    revocations: () => missing('revocations', current().missing().revocations),
  };
}
