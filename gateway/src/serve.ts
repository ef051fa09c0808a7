import { createServer } from 'node:http';
import { createHealth, createMetrics, drainServer, type Logger, listen, type Running } from '@countersign/service-kit';
import { createAdminApp, createInternalApp, createPublicHandlers } from './app.ts';
import type { GatewayConfig } from './config/config.ts';
import { type GatewayKeySet, loadGatewayKeys } from './keys/gateway-keys.ts';
import { openLimitStore } from './limits/limit-store.ts';
import { createObserve, watch } from './observe.ts';
import { createPipeline } from './pipeline.ts';
import { createPublicListener } from './public-listener.ts';
import { createRespond } from './respond.ts';
import { compileRoutes, routesOn } from './routing/route-table.ts';
import { createAuthenticate } from './stages/authenticate.ts';
import { authorize } from './stages/authorize.ts';
import { createLimit } from './stages/limit.ts';
import { createMatch } from './stages/match.ts';
import { createSanitize } from './stages/sanitize.ts';
import { createSign } from './stages/sign.ts';
import { createAccessTokens } from './tokens/access-tokens.ts';
import { createFailureThrottle } from './tokens/failure-throttle.ts';
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

const refusedTokensPerMinute = 600;
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
  const keys = loadGatewayKeys(config.identity.keysDir, nowSec());
  const keyFor = createSigningKeys(keys);
  const metrics = createMetrics();
  const respond = createRespond(logger);
  const pools = createPools(config.upstreams.values());
  const open = createOpenConnections(nowMs);
  const trust = createTrust(config, { pools, keyFor, nowMs, logger });
  const tokens = createAccessTokens(trust.issuers, nowMs);
  const store = config.redis === undefined ? undefined : openLimitStore(config.redis, logger);
  const health = createHealth(readinessOf(keys, trust, nowSec));
  watch({ issuers: trust.issuers.values(), feeds: trust.feeds, tokens, open, nowMs }, metrics);

  const routes = routesOn('public', config);
  const isDraining = () => health.draining;
  const pipeline = createPipeline({
    sanitize: createSanitize(config),
    match: createMatch(compileRoutes(routes)),
    authenticate: createAuthenticate(tokens, createFailureThrottle(refusedTokensPerMinute, nowMs)),
    authorize,
    limit: createLimit(routes, store),
    sign: createSign({ keyFor, lifetimeSec: config.identity.lifetimeSec, nowMs }),
    forwardHttp: createForwardHttp({ pools, open, isDraining }),
    forwardUpgrade: createForwardUpgrade({ pools, open, refuse: respond.socket }),
  });

  const keySet = () => keys.publicJwks(nowSec());
  const handlers = createPublicHandlers({ pipeline, respond, observe: createObserve(logger, metrics), isDraining });
  const servers = {
    internal: createServer(createInternalApp(keySet)),
    admin: createServer(createAdminApp({ health, metrics, keySet })),
    public: createPublicListener(handlers),
  };
  for (const { revocations } of trust.issuers.values()) revocations?.onChange(open.review);
  const review = setInterval(open.review, reviewMs).unref();

  async function stop(): Promise<void> {
    health.drain();
    open.endAll();
    await drainServer(servers.public, shutdownGraceMs);
    clearInterval(review);
    trust.stop();
    store?.close();
    await pools.close();
    await drainServer(servers.internal, shutdownGraceMs);
    // Last, so that an orchestrator sees "not ready" rather than nothing until the end.
    await drainServer(servers.admin, shutdownGraceMs);
  }

  try {
    const internal = await listen(servers.internal, config.listen.internal, 'internal listener');
    const admin = await listen(servers.admin, config.listen.admin, 'admin listener');
    trust.start();
    const ports = { public: await listen(servers.public, config.listen.public, 'public listener'), admin, internal };
    logger.info({ ports, routes: routes.length, config: config.hash.slice(0, 12) }, 'gateway listens');
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
