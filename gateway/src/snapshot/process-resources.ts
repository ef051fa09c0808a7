import { memoryReplay, type ReplayStore, redisReplay } from '@countersign/identity';
import type { Logger, Registry } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { type ConcurrencyCounter, createConcurrencyCounter } from '../limits/concurrency-counter.ts';
import { type LimitStore, openLimitStore } from '../limits/limit-store.ts';
import { createRespond, type Respond } from '../respond.ts';
import { createAccessLog, type LogRequest } from '../telemetry/access-log.ts';
import { createRequestMetrics, createRevocationLagMetric } from '../telemetry/metrics.ts';
import { createFailureThrottle, type FailureThrottle } from '../tokens/failure-throttle.ts';
import { createOpenConnections, type OpenConnections } from '../upstreams/pool/open-connections.ts';
import type { KeySetTiming } from './issuer-resources.ts';
import { createSharedResources, type SharedResources } from './shared-resources.ts';

/** What lives as long as the process, across all configurations. */
export type ProcessResources = Readonly<{
  shared: SharedResources;
  connections: OpenConnections;
  throttle: FailureThrottle;
  /** Where rate limits are counted. Undefined: in this process. */
  limitStore: LimitStore | undefined;
  /** Used nonces of nested calls and DPoP proofs. A store for each configuration would allow replays after a reload. */
  replay: ReplayStore;
  /** Counts of open sockets and of uploads, which may outlive a configuration. */
  sockets: ConcurrencyCounter;
  uploads: ConcurrencyCounter;
  respond: Respond;
  logRequest: LogRequest;
  isDraining(): boolean;
  nowMs(): number;
}>;

export type ProcessResourcesOptions = Readonly<{
  metrics: Registry;
  logger: Logger;
  keySets: KeySetTiming | undefined;
  isDraining(): boolean;
  nowMs(): number;
}>;

const refusedTokensPerMinute = 600;

/** Connects to nothing yet. `limitStore.start` connects to Redis. */
export function createProcessResources(
  { redis }: Pick<GatewayConfig, 'redis'>,
  { metrics, logger, keySets, isDraining, nowMs }: ProcessResourcesOptions,
): ProcessResources {
  const connections = createOpenConnections(nowMs);
  const limitStore = redis === undefined ? undefined : openLimitStore(redis, logger);
  const logRequest = createAccessLog(logger, createRequestMetrics(metrics));
  const onRevocationLag = createRevocationLagMetric(metrics);
  return {
    shared: createSharedResources({ connections, nowMs, logger, keySets, onRevocationLag }),
    connections,
    throttle: createFailureThrottle(refusedTokensPerMinute, nowMs),
    limitStore,
    // While Redis is unreachable, nested calls and proofs get 503, because they could be replays.
    replay: limitStore === undefined ? memoryReplay({ nowMs }) : redisReplay(limitStore.redis),
    sockets: createConcurrencyCounter(),
    uploads: createConcurrencyCounter(),
    respond: createRespond(),
    logRequest,
    isDraining,
    nowMs,
  };
}
