import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Logger } from '@countersign/service-kit';
import { createWorkerAdminClient, type Metric, type WorkerAdminClient } from './worker-admin.ts';
import { WorkerCounts } from './worker-counts.ts';
import { adminSocketVariable, letWorkerStop, type WorkerReady, waitUntilReady } from './worker-process.ts';
import { watchWorker } from './worker-watch.ts';

/** One worker, which is started again whenever it exits. */
export type SupervisedWorker = Readonly<{
  number: number;
  /** Settles when the first process serves, or with undefined when that process exits before. */
  started: Promise<WorkerReady | undefined>;
  /** Undefined while no process serves. */
  admin(): WorkerAdminClient | undefined;
  readonly restarts: number;
  /** Its metrics, and what its ended processes counted. Only the counts if it does not answer within 2 s. */
  metrics(): Promise<readonly Metric[]>;
  signal(signal: NodeJS.Signals): void;
  /** Makes the process read the configuration again. A process that is still starting reads it anyway. */
  reload(): void;
  /** Stops restarting. Settles when the process has exited. */
  ended(): Promise<void>;
}>;

export type SuperviseOptions = Readonly<{
  /** The directory of the workers' admin sockets. */
  directory: string;
  logger: Logger;
  /** A process that does not answer for this long is killed. */
  hungAfterMs: number;
}>;

const firstRestartMs = 250;
const maxRestartMs = 30_000;
const steadyMs = 60_000;

/**
 * Doubles the delay before each restart, up to 30 s, so that a worker that always fails does not occupy a processor. A worker that ran for a
 * minute resets the delay.
 *
 * @returns Maps how long the process ran to how long to wait. Both in milliseconds.
 */
export function createRestartDelay(): (ranMs: number) => number {
  let nextMs = firstRestartMs;
  return (ranMs) => {
    if (ranMs >= steadyMs) nextMs = firstRestartMs;
    const delayMs = nextMs;
    nextMs = Math.min(maxRestartMs, nextMs * 2);
    return delayMs;
  };
}

export function superviseWorker(number: number, options: SuperviseOptions): SupervisedWorker {
  const { directory, logger, hungAfterMs } = options;
  const restartDelay = createRestartDelay();
  const counts = new WorkerCounts();
  let worker: Worker | undefined;
  let admin: WorkerAdminClient | undefined;
  let stopWatching = () => {};
  let restarting: NodeJS.Timeout | undefined;
  let restarts = 0;
  let isStopping = false;

  function start(): Promise<WorkerReady | undefined> {
    // A new path each time: a killed process leaves its socket behind.
    const socketPath = join(directory, `worker-${number}-${restarts}.sock`);
    const fresh = cluster.fork({ [adminSocketVariable]: socketPath });
    const startedAt = performance.now();
    worker = fresh;
    letWorkerStop(fresh, readLast);
    fresh.once('exit', (code, signal) => {
      stopWatching();
      counts.end();
      void admin?.close();
      admin = undefined;
      worker = undefined;
      if (isStopping) return;
      const againMs = restartDelay(performance.now() - startedAt);
      logger.error(
        { worker: number, worker_pid: fresh.process.pid, code, signal, again_in_ms: againMs },
        'worker ended',
      );
      restarting = setTimeout(() => {
        restarts += 1;
        void start();
      }, againMs);
    });
    const ready = waitUntilReady(fresh);
    void ready.then((answer) => {
      if (answer === undefined) return;
      const client = createWorkerAdminClient(socketPath);
      admin = client;
      counts.begin(client);
      stopWatching = watchWorker(
        () => client.get('/healthz'),
        hungAfterMs,
        () => endHung(fresh),
      );
      logger.info({ worker: number, worker_pid: fresh.process.pid }, 'worker serves');
    });
    return ready;
  }

  function endHung({ process: hung }: Worker): void {
    logger.error({ worker: number, worker_pid: hung.pid, silent_ms: hungAfterMs }, 'worker does not answer: killed');
    hung.kill('SIGKILL');
  }

  /** The second reading starts after the call. The first one may be another caller's. */
  async function readLast(): Promise<void> {
    await counts.read();
    await counts.read();
  }

  return {
    number,
    started: start(),
    admin: () => admin,
    get restarts() {
      return restarts;
    },
    metrics: () => counts.read(),
    signal: (signal) => void worker?.process.kill(signal),
    reload: () => void (admin !== undefined && worker?.process.kill('SIGHUP')),
    async ended() {
      isStopping = true;
      clearTimeout(restarting);
      if (worker !== undefined) await once(worker, 'exit');
    },
  };
}
