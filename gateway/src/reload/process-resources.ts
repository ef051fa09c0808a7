import { totalmem } from 'node:os';
import { memoryReplay, redisReplay } from '@countersign/identity';
import type { Health, Logger, Registry } from '@countersign/process-kit';
import { Journal } from '@countersign/signals';
import type { Tracing } from '@countersign/tracing';
import type { GatewayConfig } from '../config/config.ts';
import type { KeySetTiming } from '../keys/issuer-keys.ts';
import { BodyMemory } from '../limits/body-memory.ts';
import { LocalLimiter, openLimitStore } from '../limits/limiter.ts';
import type { HandlerOptions } from '../listen/request-handler.ts';
import { createRequestMetrics, createRevocationLagMetric } from '../metrics/metrics.ts';
import { Traffic } from '../metrics/traffic.ts';
import { ConcurrencyCounter } from '../pipeline/claim-slot.ts';
import { createAccessLog } from '../pipeline/request-record.ts';
import { createUnmatchedBudget } from '../pipeline/unmatched.ts';
import { TokenOutcomes } from '../tokens/token-outcomes.ts';
import { LongLivedConnections } from '../upstreams/pool/long-lived-connections.ts';
import { createSharedResources } from './shared-resources.ts';

/** Resources that live as long as the process, across all configurations. */
export type ProcessResources = Readonly<ReturnType<typeof createProcessResources>>;

export type ProcessResourcesOptions = Readonly<{
  metrics: Registry;
  logger: Logger;
  /** Unix milliseconds. Default: the system clock. */
  nowMs?: (() => number) | undefined;
  keySets?: KeySetTiming | undefined;
  /** How many processes share the memory. Default: 1. */
  workers?: number | undefined;
  /**
   * Set if the console is on. It shows the last requests, the traffic of the last hour, and how long each revocation
   * took.
   */
  observer?: Readonly<{ onLag(issuer: string, lagMs: number): void }> | undefined;
  health: Pick<Health, 'draining'>;
  tracing?: Tracing | undefined;
  /** What to do with a public request that matches no route. */
  unmatched: HandlerOptions['unmatched'];
}>;

/** How many refused tokens a client address may send. */
const refusedTokens = { requests: 600, perSec: 60 };
const maxRefusedAddresses = 20_000;

/** Returns the container's memory, or the machine's if the container has no limit. */
const memoryOfAllWorkers = (): number => Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

/** Does not connect yet; `limitStore.start` connects to Redis. */
export function createProcessResources(
  { redis, journal }: Pick<GatewayConfig, 'redis' | 'journal'>,
  options: ProcessResourcesOptions,
) {
  const { metrics, logger, keySets, health, unmatched, observer, nowMs = Date.now, workers = 1, tracing } = options;
  const connections = new LongLivedConnections(nowMs);
  const limitStore = redis === undefined ? undefined : openLimitStore(redis, logger);
  const requestMetrics = createRequestMetrics(metrics);
  const traffic = observer && new Traffic(requestMetrics, nowMs);
  const countLag = createRevocationLagMetric(metrics);
  return {
    shared: createSharedResources(),
    logger,
    keySets,
    revocationDeps: {
      nowMs,
      logger,
      onChange: connections.review,
      onLag(issuer: string, lagMs: number) {
        countLag(issuer, lagMs);
        observer?.onLag(issuer, lagMs);
      },
    },
    connections,
    throttle: new LocalLimiter(refusedTokens, maxRefusedAddresses),
    countUnmatched: createUnmatchedBudget(),
    eventThrottle: new LocalLimiter(refusedTokens, maxRefusedAddresses),
    /** The events of issuers, on disk. Undefined unless configured. `open` creates its first file. */
    journal: journal === undefined ? undefined : openJournal(journal, nowMs, logger),
    /** Where rate limits are counted. If undefined, in this process. */
    limitStore,
    // Holds the used nonces of nested calls and DPoP proofs. A store per configuration would allow replays after a
    // reload. While Redis is unreachable, proofs and nested calls that write get 503: they could be replays.
    replay: limitStore === undefined ? memoryReplay({ nowMs }) : redisReplay(limitStore.redis),
    // WebSockets and streams may outlive a configuration.
    sockets: new ConcurrencyCounter(),
    uploads: new ConcurrencyCounter(),
    bodies: new BodyMemory(),
    /** This process's share of the machine's or container's memory. */
    memoryBytes: memoryOfAllWorkers() / workers,
    logRequest: createAccessLog(logger, requestMetrics.count, traffic, tracing),
    tracing,
    tokenOutcomes: new TokenOutcomes(),
    traffic,
    health,
    nowMs,
    nowSec: () => Math.floor(nowMs() / 1000),
    unmatched,
  };
}

const openJournal = (directory: string, nowMs: () => number, logger: Logger): Journal =>
  new Journal({
    directory,
    nowMs,
    onDamaged: (file, lines) => logger.warn({ file, lines }, 'damaged lines of the journal are skipped'),
  });
