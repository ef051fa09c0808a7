import type { ReplayStore } from '@countersign/identity';
import type { GatewayConfig, Limit, Route } from '../config/config.ts';
import { inSlices } from '../config/in-slices.ts';
import type { GatewayKeySet } from '../keys/gateway-keys.ts';
import type { ServiceKeys } from '../keys/service-keys.ts';
import type { KeyFor } from '../keys/signing-keys.ts';
import type { Limiter } from '../limits/limiter.ts';
import { type ConcurrencyCounter, createAdmitSocket, createAdmitUpload } from '../pipeline/admit.ts';
import { createAuthenticate } from '../pipeline/authenticate.ts';
import { createAuthenticateService } from '../pipeline/authenticate-service.ts';
import { configuredStages } from '../pipeline/configured-stages.ts';
import { compileLimits, createLimit, type RouteLimits } from '../pipeline/limit.ts';
import { createPipeline, type Forward, type Pipeline } from '../pipeline/pipeline.ts';
import { createSign } from '../pipeline/sign.ts';
import { createRouteTable, type RouteTable, routesOn } from '../routing/route-table.ts';
import { createCertificateCheck } from '../tokens/certificate-binding.ts';
import { createDpop } from '../tokens/dpop/dpop.ts';
import type { FailureThrottle } from '../tokens/failure-throttle.ts';
import { createTxnTokens } from '../tokens/txn-token.ts';
import type { AccessTokens } from '../tokens/verified-tokens.ts';
import { createForwardHttp, type ForwardHttpOptions } from '../upstreams/forward/forward-http.ts';
import type { Trust } from './trust.ts';

export type PipelinesOptions = Readonly<{
  config: GatewayConfig;
  keys: Readonly<{ gateway: GatewayKeySet; services: Pick<ServiceKeys, 'find'> }>;
  keyFor: KeyFor;
  tokens: AccessTokens;
  trust: Trust;
  limiterFor(name: string, limit: Limit): Limiter;
  throttle: FailureThrottle;
  /** Nonces of nested calls, and DPoP proofs. */
  replay: ReplayStore;
  sockets: ConcurrencyCounter;
  uploads: ConcurrencyCounter;
  forward: Omit<ForwardHttpOptions, 'admitUpload' | 'signAgain'>;
  forwardUpgrade: Forward['upgrade'];
  nowMs(): number;
}>;

/** `forward` is the last step of both listeners. */
export type Pipelines = Readonly<{ public: Pipeline; internal: Pipeline; forward: Forward }>;

/**
 * Builds the pipelines of the two listeners. The public one authenticates users by token, the internal one services by signature; each
 * serves its own routes.
 *
 * There may be ten thousand routes, so this yields to the event loop while it adds them.
 */
export async function createPipelines(options: PipelinesOptions): Promise<Pipelines> {
  const { config, keys, keyFor, tokens, trust, limiterFor, throttle, replay, nowMs } = options;
  const txnTokens = createTxnTokens({ keys: keys.gateway, issuers: trust.issuers, nowMs });
  const { sign, signAgain } = createSign({ keyFor, txnTokens, lifetimeSec: config.identity.lifetimeSec, nowMs });
  const stagesOn = async (listener: 'public' | 'internal') => {
    const { table, limitsOf } = await buildRoutes(listener, config, limiterFor);
    return { ...configuredStages(listener, config, table), limit: createLimit(limitsOf), sign };
  };
  return {
    public: createPipeline({
      ...(await stagesOn('public')),
      authenticate: createAuthenticate({
        tokens,
        throttle,
        dpop: createDpop({ config, replay, nowMs }),
        certificates: createCertificateCheck(config.certificate),
      }),
    }),
    internal: createPipeline({
      ...(await stagesOn('internal')),
      authenticate: createAuthenticateService({
        findKey: keys.services.find,
        replay,
        txnTokens,
        nowMs,
      }),
    }),
    forward: createForward(options, signAgain),
  };
}

function createForward(options: PipelinesOptions, signAgain: ForwardHttpOptions['signAgain']): Forward {
  const { config, sockets, uploads, forward, forwardUpgrade } = options;
  const admitSocket = createAdmitSocket(sockets, config.websockets.maxPerUser);
  const admitUpload = createAdmitUpload(uploads, config.uploads.maxPerAddress);
  return {
    http: createForwardHttp({ ...forward, admitUpload, signAgain }),
    upgrade(signed, request, socket, head) {
      admitSocket(signed, socket);
      return forwardUpgrade(signed, request, socket, head);
    },
  };
}

async function buildRoutes(
  listener: 'public' | 'internal',
  config: GatewayConfig,
  limiterFor: PipelinesOptions['limiterFor'],
): Promise<Readonly<{ table: RouteTable; limitsOf: ReadonlyMap<Route, RouteLimits> }>> {
  const table = createRouteTable(listener);
  const limitsOf = new Map<Route, RouteLimits>();
  await inSlices(routesOn(listener, config), (route) => {
    table.add(route);
    if (route.limits.length > 0) limitsOf.set(route, compileLimits(route, limiterFor));
  });
  return { table, limitsOf };
}
