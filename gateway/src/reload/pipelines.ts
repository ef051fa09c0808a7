import type { GatewayConfig, Limit, Route } from '../config/config.ts';
import type { GatewayKeySet } from '../keys/gateway-keys.ts';
import type { ServiceKeys } from '../keys/service-keys.ts';
import { createSigningKeys } from '../keys/signing-keys.ts';
import type { Limiter } from '../limits/limiter.ts';
import { createAdmitSocket, createAdmitUpload } from '../pipeline/admit.ts';
import { createAuthenticate } from '../pipeline/authenticate.ts';
import { createAuthenticateService } from '../pipeline/authenticate-service.ts';
import { configuredStages } from '../pipeline/configured-stages.ts';
import { compileLimits, createLimit, type RouteLimits } from '../pipeline/limit.ts';
import { createPipeline, type Forward } from '../pipeline/pipeline.ts';
import { respond } from '../pipeline/respond.ts';
import { createSign } from '../pipeline/sign.ts';
import { createRouteTable, type RouteTable, routesOn } from '../routing/route-table.ts';
import { createCertificateCheck } from '../tokens/certificate-binding.ts';
import { createDpop } from '../tokens/dpop/dpop.ts';
import { createTxnTokens } from '../tokens/txn-token.ts';
import type { AccessTokens } from '../tokens/verified-tokens.ts';
import { createForwardHttp, type ForwardHttpOptions } from '../upstreams/forward/forward-http.ts';
import type { OpenUpstreams } from '../upstreams/pool/open-upstream.ts';
import { createForwardUpgrade } from '../upstreams/websocket/forward-upgrade.ts';
import type { ProcessResources } from './process-resources.ts';
import type { Trust } from './trust.ts';

export type PipelinesOptions = Readonly<{
  config: GatewayConfig;
  resources: ProcessResources;
  keys: Readonly<{ gateway: GatewayKeySet; services: Pick<ServiceKeys, 'find'> }>;
  upstreams: OpenUpstreams;
  tokens: AccessTokens;
  trust: Trust;
  limiterFor(name: string, limit: Limit): Limiter;
}>;

/**
 * Builds the pipelines of the two listeners. The public one authenticates users by token, the internal one services by signature; each
 * serves its own routes.
 */
export function createPipelines(options: PipelinesOptions) {
  const { config, keys, upstreams, tokens, trust, limiterFor } = options;
  const { throttle, replay, nowMs } = options.resources;
  const keyFor = createSigningKeys(keys.gateway, upstreams.of);
  const txnTokens = createTxnTokens({ keys: keys.gateway, issuers: trust.issuers, nowMs });
  const { sign, signAgain } = createSign({ keyFor, txnTokens, lifetimeSec: config.identity.lifetimeSec, nowMs });
  const stagesOn = (listener: 'public' | 'internal') => {
    const { table, limitsOf } = buildRoutes(listener, config, limiterFor);
    return { ...configuredStages(listener, config, table), limit: createLimit(limitsOf), sign };
  };
  return {
    public: createPipeline({
      ...stagesOn('public'),
      authenticate: createAuthenticate({
        tokens,
        throttle,
        dpop: createDpop({ config, replay, nowMs }),
        certificates: createCertificateCheck(config.certificate),
      }),
    }),
    internal: createPipeline({
      ...stagesOn('internal'),
      authenticate: createAuthenticateService({ findKey: keys.services.find, replay, txnTokens, nowMs }),
    }),
    /** The last step of both listeners. */
    forward: createForward(options, signAgain),
  };
}

function createForward(
  { config, resources, upstreams }: PipelinesOptions,
  signAgain: ForwardHttpOptions['signAgain'],
): Forward {
  const { sockets, uploads, connections: open, health } = resources;
  const forwardUpgrade = createForwardUpgrade({ upstreams, open, refuse: respond.socket });
  const admitSocket = createAdmitSocket(sockets, config.websockets.maxPerUser);
  const admitUpload = createAdmitUpload(uploads, config.uploads.maxPerAddress);
  return {
    http: createForwardHttp({ upstreams, open, health, admitUpload, signAgain }),
    upgrade(signed, request, socket, head) {
      admitSocket(signed, socket);
      return forwardUpgrade(signed, request, socket, head);
    },
  };
}

function buildRoutes(
  listener: 'public' | 'internal',
  config: GatewayConfig,
  limiterFor: PipelinesOptions['limiterFor'],
): Readonly<{ table: RouteTable; limitsOf: ReadonlyMap<Route, RouteLimits> }> {
  const table = createRouteTable(listener);
  const limitsOf = new Map<Route, RouteLimits>();
  for (const route of routesOn(listener, config)) {
    table.add(route);
    if (route.limits.length > 0) limitsOf.set(route, compileLimits(route, limiterFor));
  }
  return { table, limitsOf };
}
