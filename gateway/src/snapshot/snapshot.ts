import type { ReplayStore } from '@countersign/identity';
import type { GatewayConfig } from '../config/config.ts';
import type { CurrentGatewayKeys } from '../keys/current-keys.ts';
import { createSigningKeys } from '../keys/signing-keys.ts';
import type { LimitStore } from '../limits/limit-store.ts';
import { createLimiters, type Limiters } from '../limits/limiters.ts';
import type { SocketCount } from '../limits/socket-count.ts';
import type { Respond } from '../respond.ts';
import { createHandlers, type Handlers, keySetRoute } from '../server/handlers.ts';
import { createInFlight } from '../server/in-flight.ts';
import type { Observe } from '../telemetry/access-log.ts';
import { type AccessTokens, createAccessTokens } from '../tokens/access-tokens.ts';
import type { FailureThrottle } from '../tokens/failure-throttle.ts';
import { createForwardHttp } from '../upstreams/http/forward-http.ts';
import type { OpenConnections } from '../upstreams/pool/open-connections.ts';
import { type Upstreams, upstreamsOf } from '../upstreams/pool/open-upstream.ts';
import { createForwardUpgrade } from '../upstreams/websocket/forward-upgrade.ts';
import { createPipelines } from './pipelines.ts';
import type { Held } from './shared-resource.ts';
import type { KeptParts } from './shared-resources.ts';
import { createTrust, type Trust } from './trust.ts';

/** What is there once, however many configurations come and go. */
export type Lasting = Readonly<{
  parts: KeptParts;
  open: OpenConnections;
  throttle: FailureThrottle;
  /** Where limits are counted; undefined: in this process. */
  limitStore: LimitStore | undefined;
  /** Nonces of nested calls, and DPoP proofs: forgotten with a configuration, they could be used again. */
  replay: ReplayStore;
  /** Sockets and uploads go on across configurations, and so does their count. */
  sockets: SocketCount;
  uploads: SocketCount;
  respond: Respond;
  observe: Observe;
  isDraining(): boolean;
  nowMs(): number;
}>;

/** One configuration at work. A reload makes another, and requests go to it from one moment on. */
export type Generation = Readonly<{
  config: GatewayConfig;
  handlers: Readonly<{ public: Handlers; internal: Handlers }>;
  gatewayKeys: CurrentGatewayKeys;
  trust: Trust;
  upstreams: Upstreams;
  tokens: AccessTokens;
  limiters: Limiters;
  /** Begins to fetch keys, to follow revocations and to check upstreams, where that is not under way already. */
  start(): void;
  /** What is not known yet and has to be, before any token can be judged: nothing once all is there. */
  missing(): Readonly<{ keys: readonly string[]; revocations: readonly string[] }>;
  /** Lets go of its parts once the last of its requests is over. Called when no more requests come to it. */
  retire(): void;
}>;

/**
 * Requests are served while this builds.
 *
 * @param before The generation that serves now, whose parts are kept where the configuration is the same.
 * @throws StartupError when a file that the configuration names cannot be read. Nothing stays open then.
 */
export async function createGeneration(
  config: GatewayConfig,
  lasting: Lasting,
  before?: Generation,
): Promise<Generation> {
  const holdings = createHoldings();
  try {
    return await build(config, lasting, holdings, before);
  } catch (error) {
    holdings.release();
    throw error;
  }
}

/** What one generation holds of the parts that others may hold too. */
type Holdings = Readonly<{ hold<Part>(taken: Held<Part>): Part; release(): void }>;

function createHoldings(): Holdings {
  const held: Held<unknown>[] = [];
  return {
    hold(taken) {
      held.push(taken);
      return taken.part;
    },
    release() {
      for (const taken of held) taken.release();
    },
  };
}

// No function made in here may mention `before`: it would keep every generation that there ever was.
async function build(
  config: GatewayConfig,
  lasting: Lasting,
  holdings: Holdings,
  before?: Generation,
): Promise<Generation> {
  const { parts, open, respond, observe, isDraining, nowMs } = lasting;
  const { hold, release } = holdings;
  const gatewayKeys = hold(parts.gatewayKeys.take(config.identity.keysDir));
  const serviceKeys = hold(parts.serviceKeys.take(config.services));
  const upstreams = upstreamsOf(
    new Map([...config.upstreams].map(([name, upstream]) => [name, hold(parts.upstreams.take(upstream))])),
  );
  const trust = createTrust(config, { parts, gatewayKeys, hold, before: before?.trust.issuers });
  const tokens = createAccessTokens(trust.issuers, nowMs, before?.tokens);
  const { limiters, limiterFor } = createLimiters(lasting.limitStore, before?.limiters);
  const pipelines = await createPipelines({
    config,
    keys: { gateway: gatewayKeys, services: serviceKeys },
    keyFor: createSigningKeys(gatewayKeys),
    tokens,
    trust,
    limiterFor,
    throttle: lasting.throttle,
    replay: lasting.replay,
    sockets: lasting.sockets,
    uploads: lasting.uploads,
    forward: {
      forwardHttp: createForwardHttp({ upstreams, open, isDraining }),
      forwardUpgrade: createForwardUpgrade({ upstreams, open, refuse: respond.socket }),
    },
    nowMs,
  });
  const inFlight = createInFlight();
  const around = { respond, observe, isDraining, inFlight };
  const own = keySetRoute(() => gatewayKeys.publicJwks(Math.floor(nowMs() / 1000)));
  return {
    config,
    handlers: {
      public: createHandlers({ ...around, pipeline: pipelines.public }),
      internal: createHandlers({ ...around, pipeline: pipelines.internal, own }),
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
    missing() {
      const issuers = [...trust.issuers.values()];
      const namesOf = (some: typeof issuers) => some.map((issuer) => issuer.config.issuer);
      return {
        keys: namesOf(issuers.filter(({ keys }) => !keys.ready)),
        revocations: namesOf(issuers.filter(({ revocations }) => revocations?.ready === false)),
      };
    },
    retire: () => inFlight.whenIdle(release),
  };
}
