import {
  createHealth,
  createServiceServer,
  drainServer,
  type Logger,
  listen,
  type Running,
  StartupError,
} from '@countersign/service-kit';
import { createAdminApp, stateRoutes } from '../admin/admin-app.ts';
import { requireAdminHost } from '../admin/admin-security.ts';
import { apiAndPages } from '../admin/console.ts';
import type { GatewayConfig } from '../config/config.ts';
import { SupervisedWorker } from './supervised-worker.ts';
import type { WorkerChannel } from './worker-channel.ts';
import { createWorkerMetrics } from './worker-metrics.ts';
import { stateOfAny, workersData } from './workers-data.ts';

export type PrimaryOptions = Readonly<{
  /** How many processes to run. */
  count: number;
  logger: Logger;
  /** The workers' own settings. A worker that takes longer than both plus a margin is killed. */
  drainDelayMs: number;
  shutdownGraceMs: number;
  /** A worker that does not answer the primary for this long is killed and replaced. Default: 30 s. */
  hungAfterMs?: number;
}>;

export type RunningPrimary = Running & Readonly<{ reload(): void }>;

const killAfterMs = 5_000;

/**
 * Runs the gateway in several processes. Each worker is a complete gateway and takes its share of the connections. The
 * Runs the gateway in several processes. Each worker is a complete gateway and takes its share of the connections. The
 * primary serves no clients: it has the admin listener, restarts workers that exit, and forwards signals.
 *
 * @throws StartupError if a worker exits before it serves. That worker has already logged the reason.
 */
export async function startPrimary(config: GatewayConfig, options: PrimaryOptions): Promise<RunningPrimary> {
  const { count, logger, drainDelayMs, shutdownGraceMs, hungAfterMs = 30_000 } = options;
  const workers: SupervisedWorker[] = [];
  const serving = () => workers.flatMap(({ channel }) => channel ?? []);
  const health = createHealth({ workers: () => describeUnready(serving()) });
  const admin = createServiceServer(
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
    await drainServer(admin, shutdownGraceMs);
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
      throw new StartupError('a worker exited before it was ready');
    }
    const ports = { ...first, admin: await listen(admin, config.listen.admin, 'admin listener') };
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
