import type { ServerResponse } from 'node:http';
import type { DispatchOptions } from '@countersign/http1-client';
import { createLogger, createMetrics } from '@countersign/service-kit';
import { eventually } from '@countersign/testing';
import { loadConfig } from '../../../gateway/src/config/load.ts';
import { createSigningKeys } from '../../../gateway/src/keys/signing-keys.ts';
import { HeldBody } from '../../../gateway/src/limits/body-memory.ts';
import { createLimiters } from '../../../gateway/src/limits/limiter.ts';
import { createRequestHandler, InFlight } from '../../../gateway/src/listen/request-handler.ts';
import { createRequestMetrics } from '../../../gateway/src/metrics/metrics.ts';
import { createAuthenticate } from '../../../gateway/src/pipeline/authenticate.ts';
import { configuredStages } from '../../../gateway/src/pipeline/configured-stages.ts';
import type { Arrival, Signed } from '../../../gateway/src/pipeline/exchange.ts';
import { compileLimits, createLimit } from '../../../gateway/src/pipeline/limit.ts';
import { createPipeline } from '../../../gateway/src/pipeline/pipeline.ts';
import { createAccessLog } from '../../../gateway/src/pipeline/request-record.ts';
import { createSign } from '../../../gateway/src/pipeline/sign.ts';
import { createProcessResources } from '../../../gateway/src/reload/process-resources.ts';
import { Snapshot } from '../../../gateway/src/reload/snapshot.ts';
import { createRouteTable, routesOn } from '../../../gateway/src/routing/route-table.ts';
import { createDpop } from '../../../gateway/src/tokens/dpop.ts';
import { createTxnTokens } from '../../../gateway/src/tokens/txn-token.ts';
import { AccessTokens } from '../../../gateway/src/tokens/verified-tokens.ts';
import { createTokenVerifier } from '../../../gateway/src/tokens/verify-access-token.ts';
import { filterHeaders } from '../../../gateway/src/upstreams/forward/client-response.ts';
import { createForwardHttp } from '../../../gateway/src/upstreams/forward/forward-http.ts';
import { serviceHeaders } from '../site/service-response.ts';

/** A request that has arrived and is waiting for its response. */
export type Held = Readonly<{ arrival: Arrival; response: ServerResponse }>;

/** The parts of one gateway, which can each be called separately. */
export type Assembly = Awaited<ReturnType<typeof assembleGateway>>;

/**
 * Opens the parts of the configured gateway, and waits for keys and revocations. Only this file depends on the
 * gateway's internals.
 */
export async function assembleGateway(file: string) {
  const config = loadConfig(file, {});
  const nowMs = Date.now;
  const health = { draining: false };
  const metrics = createMetrics();
  const logger = createLogger('gateway', 'info');
  const resources = createProcessResources(config, {
    metrics,
    logger,
    health,
    nowMs,
    unmatched: 'refuse',
  });
  const snapshot = new Snapshot(config, resources);
  snapshot.start();
  await eventually(() => {
    const issuers = [...snapshot.trust.issuers.values()];
    if (issuers.some(({ keys, revocations }) => !keys.ready || revocations?.ready === false))
      throw new Error('the issuer is not known yet');
    for (const { agreement } of snapshot.upstreams.all()) {
      if (typeof agreement?.serviceKey() === 'string') throw new Error('the key of the service is not known yet');
    }
  });

  const routes = routesOn('public', config);
  const { limiterFor } = createLimiters(undefined, undefined);
  const keyFor = createSigningKeys(snapshot.gatewayKeys, snapshot.upstreams.of);
  const txnTokens = createTxnTokens({ keys: snapshot.gatewayKeys, issuers: snapshot.trust.issuers, nowMs });
  const { sign, signAgain } = createSign({ keyFor, txnTokens, lifetimeSec: config.identity.lifetimeSec, nowMs });
  const dpop = createDpop({ config, replay: resources.replay, nowMs });
  const authenticateWith = (tokens: typeof snapshot.tokens) =>
    createAuthenticate({ tokens, throttle: resources.throttle, dpop });
  const forwardOptions = {
    upstreams: snapshot.upstreams,
    open: resources.connections,
    health,
    admitUpload() {},
    signAgain,
  };
  const forwardHttp = createForwardHttp(forwardOptions);
  const service = routes[0]?.upstream;
  if (service === undefined) throw new Error('the configuration has no route');
  const stages = {
    ...configuredStages('public', config, createRouteTable('public', routes)),
    authenticate: authenticateWith(snapshot.tokens),
    limit: createLimit(new Map(routes.map((route) => [route, compileLimits(route, limiterFor)]))),
    sign,
  };
  return {
    stages,
    pipeline: createPipeline(stages),
    forwardHttp,
    /** Authenticates with an empty cache. */
    atFirstSight: () =>
      authenticateWith(
        new AccessTokens({
          issuers: snapshot.trust.issuers,
          verify: createTokenVerifier(snapshot.trust.issuers, nowMs),
          nowMs,
        }),
      ),
    /** The response headers for this request, if the service sends its usual ones. */
    responseHeaders: (signed: Signed) => [
      ...filterHeaders(200, serviceHeaders, signed, service.targets[0] ?? '').passing,
      'x-request-id',
      signed.record.requestId,
    ],
    /** The request that the upstream client sends. */
    upstreamRequest: ({ outbound }: Signed): DispatchOptions => ({
      method: 'GET',
      path: outbound.requestTarget,
      headers: [...outbound.headers],
      body: null,
    }),
    decision: snapshot.handlers.decision,
    log: createAccessLog(logger, () => {}),
    count: createRequestMetrics(createMetrics()).count,
    /** Passes each request to `hold` instead of the pipeline, and does not log. */
    holdingHandlers: (hold: (held: Held) => void) =>
      createRequestHandler({
        pipeline: async (arrival) => arrival as Signed,
        forward: {
          async http(arrival, response) {
            hold({ arrival, response });
          },
          async upgrade(_arrival, _request, socket) {
            socket.destroy();
          },
        },
        logRequest: () => {},
        health,
        inFlight: new InFlight(),
        holdBody: () => new HeldBody(resources.bodies, { bytes: 0, bytesPerAddress: 0 }, ''),
        unmatched: 'refuse',
      }),
    /** From the listener to the service and back. */
    handlers: snapshot.handlers.public,
  };
}
