import { createHealth, type Environment, type Health, type Logger, type Registry } from '@countersign/service-kit';
import { registerScrapedMetrics } from './admin/scraped-metrics.ts';
import type { GatewayConfig } from './config/config.ts';
import { loadWhileServing } from './config/config-loader.ts';
import { missingAgreementKey } from './keys/signing-keys.ts';
import {
  createProcessResources,
  type ProcessResources,
  type ProcessResourcesOptions,
} from './reload/process-resources.ts';
import { readinessChecks } from './reload/readiness.ts';
import { type ConfigReloader, createConfigReloader, type Reload, type ReloadTiming } from './reload/reload.ts';
import { type CurrentSnapshot, createCurrentSnapshot, type Snapshot } from './reload/snapshot.ts';
import { createReplayCheck } from './tokens/dpop/dpop-readiness.ts';

export type GatewayOptions = Omit<ProcessResourcesOptions, 'health' | 'nowMs' | 'keySets'> &
  Readonly<{
    metrics: Registry;
    logger: Logger;
    /** The variables that a reload substitutes in the file. */
    env: Environment;
    /** Unix milliseconds. Default: the system's clock. */
    nowMs?: (() => number) | undefined;
    keySets?: ProcessResourcesOptions['keySets'];
    reloadTiming?: ReloadTiming | undefined;
    /** Reads the file when it changed. Default: a large one in a worker thread. */
    load?: typeof loadWhileServing | undefined;
    /** How many processes share the work. Default 1. */
    workers?: number | undefined;
    onReload?: ((reload: Reload) => void) | undefined;
  }>;

/** A gateway without listeners: what its configuration describes, kept up to date. */
export type Gateway = Readonly<{
  resources: ProcessResources;
  snapshot: CurrentSnapshot;
  current(): Snapshot;
  health: Health;
  reloader: ConfigReloader;
  /** The public keys with which services verify identity. */
  keySet(): unknown;
  /** Starts to fetch keys, to follow revocations, to check upstreams and to connect to Redis. */
  start(): void;
  /** Ends long connections and refuses new ones. No reload happens any more. */
  drain(): void;
  /** Closes what is open. Call it when no request can arrive any more. */
  close(): Promise<void>;
}>;

const reviewMs = 1_000;

/**
 * Opens everything that a gateway serves with. It lives as long as the process; a snapshot holds what depends on one configuration.
 *
 * @throws StartupError when a file that the configuration names cannot be used. Nothing stays open then.
 */
export function openGateway(config: GatewayConfig, options: GatewayOptions): Gateway {
  const { metrics, logger, env, nowMs = Date.now, keySets, onReload, workers = 1 } = options;
  const nowSec = () => Math.floor(nowMs() / 1000);
  const current = () => snapshot.current;
  const health = createHealth({
    ...readinessChecks(current, nowSec),
    dpop_replay: () => checkReplay(),
  });
  const resources = createProcessResources(config, { ...options, nowMs, keySets, health });
  const { connections, limitStore } = resources;
  const snapshot = createCurrentSnapshot(config, resources);
  const checkReplay = createReplayCheck(() => current().config, resources.replay, nowMs);
  const { load = loadWhileServing } = options;
  const sources = { current, connections, bodies: resources.bodies, reloads: () => reloader.state(), nowMs };
  const countReload = registerScrapedMetrics(sources, metrics);
  const reloader: ConfigReloader = createConfigReloader({
    snapshot,
    load: () => load(config.file, env, { running: config, workers }),
    onReload(reload) {
      countReload(reload.result);
      onReload?.(reload);
    },
    logger,
    nowMs,
    timing: options.reloadTiming,
  });
  let review: NodeJS.Timeout | undefined;

  return {
    resources,
    snapshot,
    current,
    health,
    reloader,
    keySet: () => current().gatewayKeys.publicJwks(nowSec()),
    start() {
      review = setInterval(connections.review, reviewMs).unref();
      limitStore?.start();
      current().start();
      const missing = missingAgreementKey(config, current().gatewayKeys.agreementKeys);
      if (missing !== undefined) logger.warn(missing);
    },
    drain() {
      reloader.stop();
      health.drain();
      connections.endAll();
    },
    async close() {
      clearInterval(review);
      snapshot.close();
      limitStore?.close();
      await resources.shared.upstreams.closed();
    },
  };
}
