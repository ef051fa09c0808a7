import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { StartupError } from '@countersign/service-kit';
import type { GatewayConfig, Route } from '../config/config.ts';
import type { CurrentGatewayKeys } from '../keys/gateway-keys.ts';
import { bodyLimits, HeldBody } from '../limits/body-memory.ts';
import { createLimiters, type Limiters } from '../limits/limiter.ts';
import { createInFlight, createRequestHandler, type Handlers } from '../listen/request-handler.ts';
import { AccessTokens } from '../tokens/verified-tokens.ts';
import { createTokenVerifier } from '../tokens/verify-access-token.ts';
import type { Admission } from '../upstreams/pool/open-connections.ts';
import { type OpenUpstreams, upstreamsOf } from '../upstreams/pool/open-upstream.ts';
import { createPipelines } from './pipelines.ts';
import type { ProcessResources } from './process-resources.ts';
import type { ResourceRef } from './shared-resource.ts';
import { createTrust, type Trust } from './trust.ts';

/** One configuration with its open resources. A reload builds another snapshot, and new requests go to that one. */
export type Snapshot = Readonly<{
  config: GatewayConfig;
  handlers: Readonly<{ public: Handlers; internal: Handlers }>;
  gatewayKeys: CurrentGatewayKeys;
  trust: Trust;
  upstreams: OpenUpstreams;
  tokens: AccessTokens;
  limiters: Limiters;
  /** Starts to fetch keys, to follow revocations and to check upstreams, unless that has started already. */
  start(): void;
  /** Releases the resources after the last request ends. Call it when no new requests come to this snapshot. */
  retire(): void;
}>;

/**
 * Builds the snapshot of a configuration. The previous snapshot serves requests meanwhile.
 *
 * @param previous The snapshot in force. Resources with unchanged configuration are shared with it.
 * @throws StartupError when a file that the configuration names cannot be read. Nothing stays open then.
 */
export function createSnapshot(config: GatewayConfig, resources: ProcessResources, previous?: Snapshot): Snapshot {
  const refs: ResourceRef<unknown>[] = [];
  const held: Held = {
    keep(ref) {
      refs.push(ref);
      return ref.resource;
    },
    release() {
      for (const ref of refs) ref.release();
    },
  };
  try {
    return build(config, resources, held, previous);
  } catch (error) {
    held.release();
    throw error;
  }
}

/** The shared resources that one snapshot uses. */
type Held = Readonly<{ keep<Resource>(ref: ResourceRef<Resource>): Resource; release(): void }>;

// A closure in this function must not capture `previous`: it would keep every earlier snapshot in memory.
function build(
  config: GatewayConfig,
  resources: ProcessResources,
  { keep, release }: Held,
  previous?: Snapshot,
): Snapshot {
  const { shared, logRequest, health, nowMs, unmatched } = resources;
  const gatewayKeys = keep(shared.gatewayKeys.acquire(config.identity.keysDir));
  const serviceKeys = keep(shared.serviceKeys.acquire(config.services));
  const upstreams = upstreamsOf(
    new Map([...config.upstreams].map(([name, upstream]) => [name, keep(shared.upstreams.acquire(upstream))])),
  );
  const trust = createTrust(config, { shared, gatewayKeys, keep, previous: previous?.trust.issuers });
  const tokens = new AccessTokens({
    issuers: trust.issuers,
    verify: createTokenVerifier(trust.issuers, nowMs),
    nowMs,
    previous: previous?.tokens,
    outcomes: resources.tokenOutcomes,
  });
  const { limiters, limiterFor } = createLimiters(resources.limitStore, previous?.limiters);
  const keys = { gateway: gatewayKeys, services: serviceKeys };
  const pipelines = createPipelines({ config, resources, keys, upstreams, tokens, trust, limiterFor });
  const inFlight = createInFlight();
  const limits = bodyLimits(config, resources.memoryBytes);
  const holdBody = (address: string) => new HeldBody(resources.bodies, limits, address);
  const { forward } = pipelines;
  const common = { forward, logRequest, health, inFlight, holdBody };
  return {
    config,
    handlers: {
      public: createRequestHandler({ ...common, pipeline: pipelines.public, unmatched }),
      internal: createRequestHandler({ ...common, pipeline: pipelines.internal, unmatched: 'refuse' }),
    },
    gatewayKeys,
    trust,
    upstreams,
    tokens,
    limiters,
    start() {
      gatewayKeys.start();
      serviceKeys.start();
      for (const upstream of upstreams.all()) upstream.start();
      for (const { keys } of trust.issuers.values()) keys.start();
      for (const { feed } of trust.followed.values()) feed.start();
    },
    retire: () => inFlight.whenIdle(release),
  };
}

/** The current snapshot. A reload replaces it. */
export type CurrentSnapshot = Readonly<{
  readonly current: Snapshot;
  /**
   * Builds a snapshot, waits until it can verify tokens, and then uses it for all new requests.
   *
   * @param withinMs How long to wait for the keys and revocations of new issuers.
   * @throws StartupError when a file cannot be read, or keys or revocations did not arrive in time. The old snapshot stays current.
   */
  replace(config: GatewayConfig, withinMs: number): Promise<void>;
  /** Releases the current snapshot after its last request. Call it once no more requests can arrive. */
  close(): void;
}>;

const checkEveryMs = 50;

export function createCurrentSnapshot(first: GatewayConfig, resources: ProcessResources): CurrentSnapshot {
  const inForce = {
    current: createSnapshot(first, resources),
    async replace(config: GatewayConfig, withinMs: number) {
      const old = inForce.current;
      const fresh = createSnapshot(config, resources, old);
      try {
        fresh.start();
        await waitUntilReady(fresh, old, withinMs);
      } catch (error) {
        fresh.retire();
        throw error;
      }
      inForce.current = fresh;
      resources.connections.keepOnly(stillAllowedBy(fresh));
      old.retire();
    },
    close: () => inForce.current.retire(),
  };
  return inForce;
}

/**
 * Waits for the keys and revocations of new issuers. Without this, the first requests with tokens of a new issuer would get 503. An
 * unchanged issuer that is already unreachable does not block a reload.
 */
async function waitUntilReady({ trust }: Snapshot, old: Snapshot, withinMs: number): Promise<void> {
  const missing = () =>
    [...trust.issuers.values()].flatMap(({ config: { issuer }, keys, revocations }) => {
      const before = old.trust.issuers.get(issuer);
      return [
        ...(keys.ready || keys === before?.keys ? [] : [`keys of ${issuer}`]),
        ...(revocations?.ready !== false || revocations === before?.revocations ? [] : [`revocations of ${issuer}`]),
      ];
    });
  const untilMs = performance.now() + withinMs;
  while (missing().length > 0) {
    if (performance.now() > untilMs) {
      throw new StartupError(`timed out after ${withinMs / 1000} s waiting for ${missing().join(', ')}`);
    }
    await delay(checkEveryMs, undefined, { ref: false });
  }
}

/**
 * Decides whether a connection may stay open: only if its route, upstream and token issuer are unchanged. Other connections are closed.
 * Their clients reconnect and are authorized again.
 */
function stillAllowedBy({ config, trust }: Snapshot): (admission: Admission) => boolean {
  const routes = new Map(config.routes.map((route) => [route.name, route]));
  const results = new Map<Route, boolean>();
  const isSame = (route: Route): boolean => {
    const same = results.get(route) ?? isDeepStrictEqual(route, routes.get(route.name));
    results.set(route, same);
    return same;
  };
  return ({ route, token }) =>
    isSame(route) && (token === undefined || trust.issuers.get(token.issuer.config.issuer) === token.issuer);
}
