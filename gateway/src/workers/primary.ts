import * as kit from '@countersign/process-kit';
import { AggregatorRegistry, type MetricValue, Registry } from 'prom-client';
import { createAdminApp, stateRoutes } from '../admin/admin-app.ts';
import { requireAdminHost } from '../admin/admin-security.ts';
import { apiAndPages } from '../admin/console.ts';
import type { GatewayConfig } from '../config/config.ts';
import { SupervisedWorker } from './supervised-worker.ts';
import { stateOfAny, type WorkerChannel, workersData } from './worker-channel.ts';

type PrimaryOptions = Readonly<{
  count: number;
  logger: kit.Logger;
  /** The workers' own settings. A worker that takes longer than both plus a margin is killed. */
  drainDelayMs: number;
  shutdownGraceMs: number;
  /** A worker that does not answer the primary for this long is killed and replaced. Default: 30 s. */
  hungAfterMs?: number;
}>;

type RunningPrimary = kit.Running & Readonly<{ reload(): void }>;

const killAfterMs = 5_000;

/**
 * Runs the gateway in several processes. Each worker is a complete gateway and takes its share of the connections. The
 * primary serves no clients: it has the admin listener, restarts workers that exit, and forwards signals.
 *
 * @throws StartupError if a worker exits before it serves. That worker has already logged the reason.
 */
export async function startPrimary(config: GatewayConfig, options: PrimaryOptions): Promise<RunningPrimary> {
  const { count, logger, drainDelayMs, shutdownGraceMs, hungAfterMs = 30_000 } = options;
  const workers: SupervisedWorker[] = [];
  const serving = () => workers.flatMap(({ channel }) => channel ?? []);
  const health = kit.createHealth({ workers: () => describeUnready(serving()) });
  const admin = kit.createServiceServer(
    createAdminApp({
      health,
      metrics: createWorkerMetrics(workers),
      logger,
      requireHost: requireAdminHost(config),
      routers: [
        stateRoutes((path) => stateOfAny(serving(), path)),
        ...(config.admin.console ? apiAndPages(workersData(serving), Date.now) : []),
      ],
    }),
  );

  async function stop(): Promise<void> {
    health.drain();
    const ended = Promise.all(workers.map((worker) => worker.ended()));
    for (const worker of workers) worker.signal('SIGTERM');
    // A worker drains its listeners one after the other.
    const patienceMs = drainDelayMs + 3 * shutdownGraceMs + killAfterMs;
    const kill = setTimeout(() => {
      for (const worker of workers) worker.signal('SIGKILL');
    }, patienceMs);
    await ended;
    clearTimeout(kill);
    await kit.drainServer(admin, shutdownGraceMs);
  }

  const startNext = () => {
    const worker = new SupervisedWorker(workers.length + 1, { logger, hungAfterMs });
    workers.push(worker);
    return worker.started;
  };
  try {
    // The first worker starts alone, so that a problem is logged only once.
    const first = await startNext();
    const others = await Promise.all(Array.from({ length: first === undefined ? 0 : count - 1 }, startNext));
    if (first === undefined || others.includes(undefined)) {
      throw new kit.StartupError('a worker exited before it was ready');
    }
    const ports = { ...first, admin: await kit.listen(admin, config.listen.admin, 'admin listener') };
    logger.info({ ports, workers: count, config: config.hash.slice(0, 12) }, 'gateway listens');
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    health,
    logger,
    // Each worker waits by itself, so the primary signals all of them at once.
    drainDelayMs: 0,
    stop,
    reload() {
      for (const worker of workers) worker.reload();
    },
  };
}

/** @returns Undefined if every worker that accepts connections is ready. A worker that is restarting accepts none. */
async function describeUnready(serving: readonly WorkerChannel[]): Promise<string | undefined> {
  if (serving.length === 0) return 'no worker is serving';
  const problems = await Promise.all(
    serving.map(async (worker) => {
      try {
        const { ok, checks } = await worker.ask('ready');
        const failed = Object.entries(checks).filter(([, state]) => state !== 'ok');
        return ok ? [] : [`worker ${worker.number}: ${failed.map(([name, state]) => `${name}: ${state}`).join(', ')}`];
      } catch {
        return [`worker ${worker.number} does not answer`];
      }
    }),
  );
  return problems.flat().join('; ') || undefined;
}

type CountedWorker = Readonly<{ channel: unknown; restarts: number; metrics(): Promise<readonly kit.Metric[]> }>;

function createWorkerMetrics(workers: readonly CountedWorker[]): kit.MetricsSource {
  const registry = new Registry();
  const own: readonly kit.ScrapedMetric[] = [
    {
      name: 'countersign_workers',
      help: 'Workers that are serving. Absent without --workers.',
      rows: () => [[[], workers.filter(({ channel }) => channel !== undefined).length]],
    },
    {
      name: 'countersign_worker_restarts_total',
      help: 'How many workers exited and were restarted.',
      rows: () => [[[], workers.reduce((sum, { restarts }) => sum + restarts, 0)]],
    },
  ];
  for (const metric of own) kit.registerScraped(metric, registry);
  return {
    contentType: registry.contentType,
    async metrics() {
      const all = await Promise.all(workers.map((worker) => worker.metrics()));
      return AggregatorRegistry.aggregate([
        ...withoutOutdatedFailures(all),
        await registry.getMetricsAsJSON(),
      ]).metrics();
    },
  };
}

const ofTarget = 'countersign_upstream_target_';
const lastSuccess = `${ofTarget}last_success_timestamp_seconds`;
const lastFailure = `${ofTarget}last_failure_timestamp_seconds`;

/**
 * Removes what a worker reports about a target whose last request failed, if a later request by another worker
 * succeeded. Each worker knows only its own requests, and the gauge is the lowest value among all workers.
 */
function withoutOutdatedFailures(workers: readonly (readonly kit.Metric[])[]): kit.Metric[][] {
  const successes = timesIn(workers.flat(), lastSuccess);
  return workers.map((metrics) => {
    const failures = timesIn(metrics, lastFailure);
    const isCurrent = ({ labels }: MetricValue<string>) =>
      (failures.get(targetOf(labels)) ?? Number.POSITIVE_INFINITY) >= (successes.get(targetOf(labels)) ?? 0);
    return metrics.map((metric) =>
      metric.name === `${ofTarget}healthy` || metric.name === lastFailure
        ? { ...metric, values: metric.values.filter(isCurrent) }
        : metric,
    );
  });
}

const targetOf = ({ upstream, target }: MetricValue<string>['labels']): string => `${upstream} ${target}`;

function timesIn(metrics: readonly kit.Metric[], name: string): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { labels, value } of metrics.flatMap((metric) => (metric.name === name ? metric.values : []))) {
    times.set(targetOf(labels), Math.max(times.get(targetOf(labels)) ?? 0, value));
  }
  return times;
}
