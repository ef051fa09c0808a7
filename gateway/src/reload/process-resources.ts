import { totalmem } from 'node:os';
import { memoryReplay, redisReplay } from '@countersign/identity';
import type { Health, Logger, Registry } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import type { KeySetTiming } from '../keys/issuer-keys.ts';
import { BodyMemory } from '../limits/body-memory.ts';
import { openLimitStore } from '../limits/limit-store.ts';
import type { HandlerOptions } from '../listen/request-handler.ts';
import { createRequestMetrics, createRevocationLagMetric } from '../metrics/metrics.ts';
import { Traffic } from '../metrics/traffic.ts';
import { ConcurrencyCounter } from '../pipeline/admit.ts';
import { createAccessLog } from '../pipeline/request-record.ts';
import { createFailureThrottle } from '../tokens/failure-throttle.ts';
import { TokenOutcomes } from '../tokens/token-outcomes.ts';
import { OpenConnections } from '../upstreams/pool/open-connections.ts';
import { createSharedResources } from './shared-resources.ts';

/** What lives as long as the process, across all configurations. */
export type ProcessResources = Readonly<ReturnType<typeof createProcessResources>>;

export type ProcessResourcesOptions = Readonly<{
  metrics: Registry;
  logger: Logger;
  keySets: KeySetTiming | undefined;
  /** Whether to keep the last requests and the traffic of the last hour, for the console. */
  keepsTraffic?: boolean | undefined;
  /** How many processes share the memory. Default 1. */
  workers?: number | undefined;
  /** Called with the time that each revocation took to come into force. */
  onLag?: ((issuer: string, lagMs: number) => void) | undefined;
  health: Pick<Health, 'draining'>;
  nowMs(): number;
  /** What happens to a public request that matches no route. */
  unmatched: HandlerOptions['unmatched'];
}>;

const refusedTokensPerMinute = 600;

/** The container's memory, or the machine's where nothing limits it. */
const memoryOfAllWorkers = (): number => Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

/** Connects to nothing yet. `limitStore.start` connects to Redis. */
export function createProcessResources({ redis }: Pick<GatewayConfig, 'redis'>, options: ProcessResourcesOptions) {
  const { metrics, logger, keySets, health, nowMs, unmatched, keepsTraffic, onLag, workers = 1 } = options;
  const connections = new OpenConnections(nowMs);
  const limitStore = redis === undefined ? undefined : openLimitStore(redis, logger);
  const requestMetrics = createRequestMetrics(metrics);
  const traffic = keepsTraffic ? new Traffic(requestMetrics, nowMs) : undefined;
  const logRequest = createAccessLog(logger, requestMetrics.count, traffic);
  const countLag = createRevocationLagMetric(metrics);
  const onRevocationLag = (issuer: string, lagMs: number) => {
    countLag(issuer, lagMs);
    onLag?.(issuer, lagMs);
  };
  return {
    shared: createSharedResources({ connections, nowMs, logger, keySets, onRevocationLag }),
    connections,
    throttle: createFailureThrottle(refusedTokensPerMinute, () => performance.now()),
    /** Where rate limits are counted. Undefined: in this process. */
    limitStore,
    // Used nonces of nested calls and DPoP proofs. A store for each configuration would allow replays after a reload.
    // While Redis is unreachable, nested calls and proofs get 503, because they could be replays.
    replay: limitStore === undefined ? memoryReplay({ nowMs }) : redisReplay(limitStore.redis),
    // They may outlive a configuration.
    sockets: new ConcurrencyCounter(),
    uploads: new ConcurrencyCounter(),
    bodies: new BodyMemory(),
    /** What this process has of the machine's memory or the container's. */
    memoryBytes: memoryOfAllWorkers() / workers,
    logRequest,
    tokenOutcomes: new TokenOutcomes(),
    /** Undefined without the console. */
    traffic,
    health,
    nowMs,
    unmatched,
  };
}
