import {
  createHealth,
  type Environment,
  type Health,
  isPlainHttp,
  type Logger,
  StartupError,
} from '@countersign/process-kit';
import { openTracing, type Tracing } from '@countersign/tracing';
import type { Observations } from './admin/console.ts';
import { registerScrapedMetrics } from './admin/scraped-metrics.ts';
import type { GatewayConfig } from './config/config.ts';
import { loadWhileRunning } from './config/config-loader.ts';
import { plainHttp } from './config/schema/values/urls.ts';
import { version } from './config/version.ts';
import { type PublishedAt, publishedAt } from './keys/published-documents.ts';
import { missingAgreementKey } from './keys/signing-keys.ts';
import {
  createProcessResources,
  type ProcessResources,
  type ProcessResourcesOptions,
} from './reload/process-resources.ts';
import { readinessChecks } from './reload/readiness.ts';
import { ConfigReloader, type ReloadTiming } from './reload/reload.ts';
import { createReplayCheck } from './tokens/dpop-replay.ts';

export type GatewayOptions = Omit<ProcessResourcesOptions, 'health' | 'tracing'> &
  Readonly<{
    /** The variables that a reload substitutes into the file. */
    env: Environment;
    reloadTiming?: ReloadTiming | undefined;
    /** Reads the file after a change. Default: reads large files in a worker thread. */
    load?: typeof loadWhileRunning | undefined;
    /** Undefined if the console is disabled. */
    observer?: Observations | undefined;
  }>;

const reviewMs = 1_000;

/** A gateway without listeners: all that its configuration describes, kept up to date. */
export class Gateway {
  readonly health: Health;
  readonly resources: ProcessResources;
  readonly reloader: ConfigReloader;
  #review: NodeJS.Timeout | undefined;

  /** @throws StartupError if a file that the configuration names is unusable. It then leaves nothing open. */
  constructor(config: GatewayConfig, options: GatewayOptions) {
    const { metrics, logger, env, observer, reloadTiming: timing, load = loadWhileRunning, workers = 1 } = options;
    this.health = createHealth({
      ...readinessChecks(this.current, () => this.resources.nowSec()),
      dpop_replay: () => checkReplay(),
    });
    const tracing = openTraces(config, env, logger);
    this.resources = createProcessResources(config, { ...options, tracing, health: this.health });
    const { connections, bodies, limitStore, replay, nowMs } = this.resources;
    this.reloader = new ConfigReloader(config, this.resources, {
      load: (running) => load(config.file, env, { running, workers }),
      onReload(reload) {
        countReload(reload.result);
        observer?.onReload(reload);
      },
      logger,
      timing,
    });
    const checkReplay = createReplayCheck(() => this.current().config, replay, nowMs);
    const redisStatus = () => limitStore?.redis.status;
    const sources = { current: this.current, connections, bodies, reloads: this.reloader.state, redisStatus, nowMs };
    const countReload = registerScrapedMetrics(sources, metrics);
  }

  readonly current = () => this.reloader.current;

  /** Returns the public keys that services verify identity headers with. */
  readonly keySet = () => this.current().gatewayKeys.publicJwks(this.resources.nowSec());

  readonly published: PublishedAt = (path) => publishedAt(this.current(), path, this.resources.nowSec());

  /** @throws StartupError if the journal cannot be written. */
  start(): void {
    const { connections, limitStore, logger, journal } = this.resources;
    openJournal(journal);
    this.#review = setInterval(connections.review, reviewMs).unref();
    limitStore?.start();
    this.current().start();
    const { config, gatewayKeys } = this.current();
    const missing = missingAgreementKey(config, gatewayKeys.agreementKeys);
    if (missing !== undefined) logger.warn(missing);
  }

  /** Ends long-lived connections and refuses new ones. Reloading stops too. */
  drain(): void {
    this.reloader.stop();
    this.health.drain();
    this.resources.connections.endAll();
  }

  /** Closes everything that is open. Call it only when no more requests can arrive. */
  async close(): Promise<void> {
    clearInterval(this.#review);
    this.current().retire();
    this.resources.limitStore?.close();
    await this.resources.shared.stopped();
    this.resources.journal?.close();
    await this.resources.tracing?.close();
  }
}

/** @throws StartupError if the collector's address is not a URL, or is plain http to another machine. */
function openTraces({ insecureTransport }: GatewayConfig, env: Environment, logger: Logger): Tracing | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = env;
  if (endpoint === undefined || endpoint === '') return undefined;
  if (!/^https?:/.test(endpoint) || !URL.canParse(endpoint))
    throw new StartupError('OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https URL');
  if (isPlainHttp(endpoint) && !insecureTransport) throw new StartupError(`OTEL_EXPORTER_OTLP_ENDPOINT: ${plainHttp}`);
  return openTracing({ service: 'countersign-gateway', version: version(), endpoint, logger });
}

/** @throws StartupError if the journal cannot be written. */
function openJournal(journal: ProcessResources['journal']): void {
  try {
    journal?.open();
  } catch (cause) {
    throw new StartupError(`journal: cannot be written (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}
