import { createServer } from 'node:http';
import { createHealth, createMetrics, drainServer, type Logger, listen, type Running } from '@countersign/service-kit';
import { createAdminApp, createHandlers, keySetRoute } from './app.ts';
import type { GatewayConfig } from './config/config.ts';
import { openKeys } from './keys/current-keys.ts';
import type { GatewayKeySet } from './keys/gateway-keys.ts';
import { openLimitStore } from './limits/limit-store.ts';
import { createListener } from './listener.ts';
import { createObserve, watch } from './observe.ts';
import { createPipelines } from './pipelines.ts';
import { createRespond } from './respond.ts';
import { createAccessTokens } from './tokens/access-tokens.ts';
import { createTrust, type Trust } from './trust.ts';
import { createForwardHttp } from './upstreams/forward-http.ts';
import { createForwardUpgrade } from './upstreams/forward-upgrade.ts';
import { createOpenConnections } from './upstreams/open-connections.ts';
import { createPools } from './upstreams/pools.ts';
import { createSigningKeys } from './upstreams/signing-keys.ts';

export type GatewayDeps = Readonly<{
  logger: Logger;
  /** Default 500 ms. */
  drainDelayMs?: number;
  /** How long requests in flight may take when the gateway stops. Default 10 s. */
  shutdownGraceMs?: number;
  /** Unix milliseconds. Default: the system's clock. */
  nowMs?: () => number;
}>;

export type RunningGateway = Running &
  Readonly<{ ports: Readonly<{ public: number; admin: number; internal: number }> }>;

const reviewMs = 1_000;

/**
 * Starts a gateway. The key set is served before anything else, since services need it to become ready, and the gateway
 * needs them: nobody's readiness waits for a peer's.
 *
 * @throws StartupError, with everything closed again, when keys cannot be loaded or a port is taken.
 */
export async function serveGateway(config: GatewayConfig, deps: GatewayDeps): Promise<RunningGateway> {
  const { logger, drainDelayMs = 500, shutdownGraceMs = 10_000, nowMs = Date.now } = deps;
  const nowSec = () => Math.floor(nowMs() / 1000);
  const keys = openKeys(config, nowSec, logger);
  const keyFor = createSigningKeys(keys.gateway);
  const metrics = createMetrics();
  const respond = createRespond();
  const pools = createPools(config.upstreams.values());
  const open = createOpenConnections(nowMs);
  const trust = createTrust(config, { pools, keyFor, nowMs, logger });
  const tokens = createAccessTokens(trust.issuers, nowMs);
  const store = config.redis === undefined ? undefined : openLimitStore(config.redis, logger);
  const health = createHealth(readinessOf(keys.gateway, trust, nowSec));
  watch({ issuers: trust.issuers.values(), feeds: trust.feeds, tokens, open, nowMs }, metrics);

  const isDraining = () => health.draining;
  const forward = {
    forwardHttp: createForwardHttp({ pools, open, isDraining }),
    forwardUpgrade: createForwardUpgrade({ pools, open, refuse: respond.socket }),
  };
  const pipelines = createPipelines({ config, keys, keyFor, tokens, trust, store, forward, nowMs });
  const around = { respond, observe: createObserve(logger, metrics), isDraining };
  const keySet = () => keys.gateway.publicJwks(nowSec());
  const servers = {
    internal: createListener(createHandlers({ ...around, pipeline: pipelines.internal, own: keySetRoute(keySet) })),
    admin: createServer(createAdminApp({ health, metrics, keySet, logger })),
    public: createListener(createHandlers({ ...around, pipeline: pipelines.public })),
  };
  for (const { revocations } of trust.issuers.values()) revocations?.onChange(open.review);
  const review = setInterval(open.review, reviewMs).unref();

  async function stop(): Promise<void> {
    health.drain();
    open.endAll();
    await drainServer(servers.public, shutdownGraceMs);
    // Later: a public request that is being finished may need nested calls.
    await drainServer(servers.internal, shutdownGraceMs);
    clearInterval(review);
    keys.stop();
    trust.stop();
    store?.close();
    await pools.close();
    // Last, so that an orchestrator sees "not ready" rather than nothing until the end.
    await drainServer(servers.admin, shutdownGraceMs);
  }

  try {
    const internal = await listen(servers.internal, config.listen.internal, 'internal listener');
    const admin = await listen(servers.admin, config.listen.admin, 'admin listener');
    keys.start();
    trust.start();
    const ports = { public: await listen(servers.public, config.listen.public, 'public listener'), admin, internal };
    logger.info({ ports, routes: config.routes.length, config: config.hash.slice(0, 12) }, 'gateway listens');
    return { health, logger, drainDelayMs, ports, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Own parts, and what has to be known of the issuers before any token can be judged. */
function readinessOf(keys: GatewayKeySet, trust: Trust, nowSec: () => number): Parameters<typeof createHealth>[0] {
  const issuers = [...trust.issuers.values()];
  const missing = (what: string, names: string[]) =>
    names.length === 0 ? undefined : `no ${what} of ${names.join(', ')} yet`;
  const namesOf = (some: typeof issuers) => some.map(({ config }) => config.issuer);
  return {
    signing_key() {
      keys.signingKey(nowSec());
      return undefined;
    },
    issuer_keys: () => missing('keys', namesOf(issuers.filter((issuer) => !issuer.keys.ready))),
    revocations: () =>
      missing('revocations', namesOf(issuers.filter(({ revocations }) => revocations?.ready === false))),
  };
}
