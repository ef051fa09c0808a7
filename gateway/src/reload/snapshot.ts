import { isDeepStrictEqual } from 'node:util';
import { dialects, tokenHeadersOf } from '@countersign/proxy-config';
import type { GatewayConfig, Issuer, Limit, Upstream } from '../config/config.ts';
import { isSocket } from '../config/schema/listen.ts';
import { createDecisionHandler, createProxyProof, type DecisionHandlers } from '../decision/decide.ts';
import { createEventReceiver, type EventReceiver } from '../events/event-receiver.ts';
import { EventStream } from '../events/event-stream.ts';
import { openIssuerKeys, openServiceKeys, type ServiceKeys } from '../keys/issuer-keys.ts';
import { type CurrentGatewayKeys, openGatewayKeys } from '../keys/key-directory.ts';
import { createSigningKeys, requireTokenKey } from '../keys/signing-keys.ts';
import { bodyLimits, HeldBody } from '../limits/body-memory.ts';
import { createLimiters, type Limiter, type Limiters } from '../limits/limiter.ts';
import { pageFor } from '../listen/error-page.ts';
import { createEventEndpoints, type FindEventEndpoint } from '../listen/event-endpoints.ts';
import { createRequestHandler, type Handlers, InFlight } from '../listen/request-handler.ts';
import { createAuthenticate } from '../pipeline/authenticate.ts';
import { createAuthenticateService } from '../pipeline/authenticate-service.ts';
import { createClaimSocket, createClaimUpload } from '../pipeline/claim-slot.ts';
import { createClientAddress } from '../pipeline/client-address.ts';
import { configuredStages } from '../pipeline/configured-stages.ts';
import { createIdentityTokens } from '../pipeline/identity-token.ts';
import { compileLimits, createLimit } from '../pipeline/limit.ts';
import { createPipeline, type Forward, type Stages } from '../pipeline/pipeline.ts';
import { respond } from '../pipeline/respond.ts';
import { createSign } from '../pipeline/sign.ts';
import { isUnmatched } from '../pipeline/unmatched.ts';
import { createRouteTable, routesOn } from '../routing/route-table.ts';
import { createCertificateCheck } from '../tokens/certificate-binding.ts';
import { createDpop } from '../tokens/dpop-replay.ts';
import { createOpaqueTokens } from '../tokens/introspection/opaque-tokens.ts';
import { createTxnTokens } from '../tokens/txn-token.ts';
import { AccessTokens, type TrustedIssuer } from '../tokens/verified-tokens.ts';
import { createTokenVerifier } from '../tokens/verify-access-token.ts';
import { createForwardHttp } from '../upstreams/forward/forward-http.ts';
import { openIntrospection } from '../upstreams/introspection-client.ts';
import { OpenUpstream, type OpenUpstreams, upstreamsOf } from '../upstreams/pool/open-upstream.ts';
import { type FollowedRevocations, openRevocations } from '../upstreams/revocation-source.ts';
import { createForwardUpgrade } from '../upstreams/websocket/forward-upgrade.ts';
import type { ProcessResources } from './process-resources.ts';
import type { Lease } from './shared-resources.ts';

/** The trusted issuers of one configuration, with their keys and revocations. */
type Trust = Readonly<{
  issuers: ReadonlyMap<string, TrustedIssuer>;
  followed: ReadonlyMap<string, FollowedRevocations>;
}>;

/** One configuration with its open resources. A reload builds another snapshot, which serves all new requests. */
export class Snapshot {
  readonly config: GatewayConfig;
  readonly gatewayKeys: CurrentGatewayKeys;
  readonly upstreams: OpenUpstreams;
  readonly trust: Trust;
  readonly tokens: AccessTokens;
  readonly limiters: Limiters;
  readonly events: FindEventEndpoint | undefined;
  readonly handlers: Readonly<{ public: Handlers; internal: Handlers; decision: DecisionHandlers | undefined }>;
  readonly #lease: Lease;
  readonly #inFlight = new InFlight();

  /**
   * Opens everything that the configuration describes. The previous snapshot serves requests meanwhile.
   *
   * @param previous The current snapshot. Resources with unchanged configuration are shared with it. No closure here
   *   may capture it, because every earlier snapshot would then stay in memory.
   * @throws StartupError if a file that the configuration names is unreadable. It then leaves nothing open.
   */
  constructor(config: GatewayConfig, resources: ProcessResources, previous?: Snapshot) {
    const { logger, nowMs } = resources;
    const lease = resources.shared.lease();
    this.config = config;
    this.#lease = lease;
    try {
      const { keysDir, keyFiles } = config.identity;
      this.gatewayKeys = lease.use('gateway keys', { keysDir, keyFiles }, () =>
        openGatewayKeys(keysDir, resources.nowSec, logger, keyFiles),
      );
      requireTokenKey(config, this.gatewayKeys, resources.nowSec());
      const { services } = config;
      const serviceKeys = lease.use('service keys', services, () => openServiceKeys(services, logger));
      const openUpstream = (upstream: Upstream) =>
        lease.use(`upstream ${upstream.name}`, upstream, () => new OpenUpstream(upstream, { logger }));
      this.upstreams = upstreamsOf(new Map([...config.upstreams].map(([name, one]) => [name, openUpstream(one)])));
      this.trust = this.#openTrust(resources, previous?.trust);
      const { issuers } = this.trust;
      this.events = this.#createEventEndpoints(resources);
      this.tokens = new AccessTokens({
        issuers,
        verify: createTokenVerifier(issuers, nowMs),
        opaque: createOpaqueTokens(issuers.values(), nowMs),
        nowMs,
        previous: previous?.tokens,
        outcomes: resources.tokenOutcomes,
      });
      const { limiters, limiterFor } = createLimiters(resources.limitStore, previous?.limiters);
      this.limiters = limiters;
      this.handlers = this.#createHandlers(resources, serviceKeys, limiterFor);
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  start(): void {
    this.#lease.start();
  }

  /** Releases the resources after the last request ends. Call it once this snapshot gets no new requests. */
  retire(): void {
    this.#inFlight.whenIdle(this.#lease.release);
  }

  /**
   * Opens the issuers' keys and revocations.
   *
   * @param previous The previous snapshot's trust. An unchanged issuer stays the same object, so its verified tokens
   *   and open connections stay valid.
   */
  #openTrust(resources: ProcessResources, previous: Trust | undefined): Trust {
    const { logger, keySets, revocationDeps } = resources;
    const issuers = new Map<string, TrustedIssuer>();
    const followed = new Map<string, FollowedRevocations>();
    const { keysDir, keyFiles, lifetimeSec } = this.config.identity;
    for (const issuer of this.config.issuers) {
      const { issuer: name, jwks, discovery, algorithms, revocations: feed } = issuer;
      const keysConfig = { issuer: name, jwks, discovery, algorithms };
      const { gatewayKeys } = this;
      const keys = this.#lease.use(`keys of ${name}`, { ...keysConfig, keysDir, keyFiles }, () =>
        openIssuerKeys(keysConfig, logger, keySets, gatewayKeys.isOwn),
      );
      if (feed !== undefined) {
        const upstream = upstreamOf(feed.url, this.config);
        // The lease keeps the keys and the upstream open longer than the resource that uses them.
        const used = { ...revocationDeps, keys: this.gatewayKeys, opened: this.upstreams.of(upstream) };
        const following = this.#lease.use(
          `revocations of ${name}`,
          { feed, upstream, lifetimeSec, keysDir, keyFiles },
          () => openRevocations({ issuer: name, feed, lifetimeSec }, used),
        );
        followed.set(name, following);
      }
      const stream = this.#openStream(issuer, resources);
      const { revocations } = followed.get(name) ?? stream ?? {};
      const settings = issuer.introspection;
      const introspection =
        settings &&
        this.#lease.use(`introspection of ${name}`, settings, () => openIntrospection(name, settings, logger));
      const fresh: TrustedIssuer = { config: issuer, keys, revocations, events: stream, introspection };
      const old = previous?.issuers.get(name);
      issuers.set(name, old !== undefined && isSame(old, fresh) ? old : fresh);
    }
    return { issuers, followed };
  }

  /** Opens the events of an issuer. The lease keeps the keys open longer than the resource that uses them. */
  #openStream({ issuer, events, maxTokenLifetimeSec }: Issuer, resources: ProcessResources): EventStream | undefined {
    const { journal, limitStore, revocationDeps, nowSec } = resources;
    // `countersign check` refuses one without the other.
    if (events === undefined || journal === undefined) return undefined;
    const { maxStalenessMs, onStale, onOverflow } = events;
    const config = { issuer, maxTokenLifetimeSec, maxStalenessMs, onStale, onOverflow };
    const { keysDir, keyFiles } = this.config.identity;
    const isShared = limitStore !== undefined;
    const shared = isShared ? { redis: limitStore.redis, keys: this.gatewayKeys, nowSec } : undefined;
    return this.#lease.use(
      `events of ${issuer}`,
      { ...config, ...(isShared && { keysDir, keyFiles }) },
      () => new EventStream(config, { ...revocationDeps, journal, shared }),
    );
  }

  #createEventEndpoints({ eventThrottle: throttle, logger, keySets, nowMs }: ProcessResources) {
    const { listen, trustedProxies, eventSecrets } = this.config;
    const sources = [...this.trust.issuers.values()].flatMap(({ config, keys, events: stream }) =>
      stream === undefined ? [] : [{ config, keys, stream }],
    );
    const receivers = new Map<string, EventReceiver>();
    for (const [name = '', own] of Map.groupBy(sources, ({ config }) => config.name)) {
      const { algorithms, events } = own[0]?.config ?? {};
      const { transmitter = '', jwks } = events?.sharedSignals ?? {};
      const keysConfig = { issuer: transmitter, jwks: jwks ?? '', discovery: false, algorithms: algorithms ?? [] };
      const openKeys = () => openIssuerKeys(keysConfig, logger, keySets);
      const transmitterKeys =
        jwks === undefined ? undefined : this.#lease.use(`event keys of ${name}`, keysConfig, openKeys);
      const secrets = eventSecrets.get(name) ?? { sharedSignals: [], webhook: [], revoke: [] };
      const receiver = createEventReceiver({ issuers: own, transmitterKeys, secrets, nowMs });
      if (receiver !== undefined) receivers.set(name, receiver);
    }
    if (receivers.size === 0) return undefined;
    return createEventEndpoints({
      receivers,
      listener: listen.events === undefined ? 'public' : 'events',
      throttle,
      clientAddress: createClientAddress(trustedProxies),
    });
  }

  /**
   * Builds the listeners' handlers. The public one authenticates users by token, and the internal one authenticates
   * services by signature. Each serves its own routes.
   */
  #createHandlers(
    resources: ProcessResources,
    serviceKeys: ServiceKeys,
    limiterFor: (name: string, limit: Limit) => Limiter,
  ): Snapshot['handlers'] {
    const { config, gatewayKeys, upstreams, tokens } = this;
    const { logRequest, health, nowMs, replay, throttle, unmatched, countUnmatched, tracing } = resources;
    const traceRatio = tracing && config.telemetry.traces.sampling;
    const keyFor = createSigningKeys(gatewayKeys, upstreams.of);
    const txnTokens = createTxnTokens({ keys: gatewayKeys, issuers: this.trust.issuers, nowMs });
    const { issuer, lifetimeSec } = config.identity;
    const identityTokens = createIdentityTokens({ keys: gatewayKeys, issuer, openedOf: upstreams.of });
    const signing = { keyFor, txnTokens, identityTokens, lifetimeSec, nowMs };
    const { sign, signAgain } = createSign(signing);
    const bounds = bodyLimits(config, resources.memoryBytes);
    const claimSocket = createClaimSocket(resources.sockets, config.websockets.maxPerUser);
    const claimUpload = createClaimUpload(resources.uploads, config.uploads.maxPerAddress);
    const open = resources.connections;
    const forwardUpgrade = createForwardUpgrade({ upstreams, open, refuse: respond.socket });
    const forward: Forward = {
      http: createForwardHttp({ upstreams, open, health, claimUpload, signAgain }),
      upgrade(signed, request, socket, head) {
        claimSocket(signed, socket);
        return forwardUpgrade(signed, request, socket, head);
      },
    };
    const holdBody = (address: string) => new HeldBody(resources.bodies, bounds, address);
    const common = { forward, logRequest, health, inFlight: this.#inFlight, holdBody, docs: config.errors.docs };
    const pipelineOf = (listener: 'public' | 'internal', own: Pick<Stages, 'authenticate' | 'sign'>) => {
      const routes = routesOn(listener, config);
      const limited = routes.filter(({ limits }) => limits.length > 0);
      const limit = createLimit(new Map(limited.map((route) => [route, compileLimits(route, limiterFor)])));
      const stages = configuredStages(listener, config, createRouteTable(listener, routes), traceRatio);
      return createPipeline({ ...stages, ...own, limit }, (error, { client, record }) => {
        // A path that the application may serve is no failure.
        const isPassedOn = unmatched === 'next' && isUnmatched(error) && error.code === 'no_route';
        return isUnmatched(error) && !isPassedOn ? countUnmatched(error, client.address, record) : error;
      });
    };
    const dpop = createDpop({ config, replay, nowMs });
    const certificates = createCertificateCheck(config.certificate);
    const audience = config.identity.name;
    const { find: findKey } = serviceKeys;
    const authenticate = createAuthenticate({ tokens, throttle, dpop, certificates });
    const authenticateService = createAuthenticateService({ audience, findKey, replay, txnTokens, nowMs });
    // Another proxy terminates the client's TLS, so certificate-bound tokens cannot be checked. That proxy also sends
    // each request only once, so a request could not be repeated if the service does not know an agreed key.
    const decisionPipeline = () =>
      pipelineOf('public', {
        authenticate: createAuthenticate({ tokens, throttle, dpop }),
        sign: createSign({
          ...signing,
          keyFor: (upstream, nowSec) => keyFor(upstream, nowSec, 'once'),
          isForwardedElsewhere: true,
        }).sign,
      });
    return {
      public: createRequestHandler({
        ...common,
        pipeline: pipelineOf('public', { authenticate, sign }),
        unmatched,
        format: config.errors.pages ? pageFor : undefined,
      }),
      internal: createRequestHandler({
        ...common,
        pipeline: pipelineOf('internal', { authenticate: authenticateService, sign }),
        unmatched: 'refuse',
      }),
      decision:
        config.decision &&
        decisionHandlers(config, {
          ...common,
          pipeline: decisionPipeline(),
          countUnmatched,
          claim(signed, lease) {
            if (signed.upgrade !== undefined) claimSocket(signed, lease());
            else if (signed.outbound.body === 'stream') claimUpload(signed, lease());
          },
        }),
    };
  }
}

const isSame = (a: TrustedIssuer, b: TrustedIssuer): boolean =>
  a.keys === b.keys &&
  a.revocations === b.revocations &&
  a.introspection === b.introspection &&
  isDeepStrictEqual(a.config, b.config);

function upstreamOf(url: string, config: GatewayConfig): Upstream {
  const { origin } = new URL(url);
  const upstream = [...config.upstreams.values()].find(({ targets }) => targets.includes(origin));
  if (upstream === undefined) throw new Error(`${url} is at no upstream`);
  return upstream;
}

function decisionHandlers(
  { decision, listen, upstreams }: GatewayConfig,
  options: Omit<Parameters<typeof createDecisionHandler>[0], 'dialect' | 'tokenHeaders' | 'isProven'>,
): DecisionHandlers | undefined {
  // `countersign check` refuses one without the other.
  if (decision === undefined || listen.decision === undefined) return undefined;
  const isProven = createProxyProof(decision, isSocket(listen.decision));
  const tokenHeaders = tokenHeadersOf(upstreams.values());
  return createDecisionHandler({ ...options, dialect: dialects[decision.proxy], tokenHeaders, isProven });
}
