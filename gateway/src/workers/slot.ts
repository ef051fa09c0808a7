import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Logger } from '@countersign/service-kit';
import { closeHandedOver } from './handed-over.ts';
import { createRestartDelay } from './restart-delay.ts';
import { adminSocketVariable, answerMayClose, type WorkerServes, whenServing } from './worker.ts';
import { linkTo, type WorkerLink } from './worker-link.ts';

/** The place of one worker, which is filled again whenever its worker ends. */
export type Slot = Readonly<{
  number: number;
  /** Settles when the first worker in it serves; with undefined when that one ended before it did. */
  started: Promise<WorkerServes | undefined>;
  /** The way to its worker, while that one serves. */
  link(): WorkerLink | undefined;
  readonly restarts: number;
  signal(signal: NodeJS.Signals): void;
  /** How many connections its worker was handed and has not taken yet. */
  handedOver(): number;
  /** One that does not serve yet reads the file by itself. */
  reload(): void;
  /** Starts no other from now on. Settles when the worker has ended. */
  ended(): Promise<void>;
}>;

export type SlotOptions = Readonly<{
  /** For the workers' sockets. */
  directory: string;
  logger: Logger;
  /** Settles when a worker may stop taking connections. */
  whenMayClose(): Promise<void>;
}>;

export function openSlot(number: number, { directory, logger, whenMayClose }: SlotOptions): Slot {
  const delay = createRestartDelay();
  let worker: Worker | undefined;
  let link: WorkerLink | undefined;
  let restarting: NodeJS.Timeout | undefined;
  let handedOver = () => 0;
  let restarts = 0;
  let isLast = false;

  function start(): Promise<WorkerServes | undefined> {
    // A path of its own each time: the one that ended may have left its socket behind.
    const socketPath = join(directory, `worker-${number}-${restarts}.sock`);
    const fresh = cluster.fork({ [adminSocketVariable]: socketPath });
    const startedAt = performance.now();
    worker = fresh;
    handedOver = closeHandedOver(fresh.process);
    answerMayClose(fresh, whenMayClose);
    fresh.once('exit', (code, signal) => {
      void link?.close();
      link = undefined;
      worker = undefined;
      handedOver = () => 0;
      if (isLast) return;
      const again = delay.after(performance.now() - startedAt);
      logger.error({ worker: number, worker_pid: fresh.process.pid, code, signal, again_in_ms: again }, 'worker ended');
      restarting = setTimeout(() => {
        restarts += 1;
        void start();
      }, again);
    });
    const serving = whenServing(fresh);
    void serving.then((serves) => {
      if (serves === undefined) return;
      link = linkTo(socketPath);
      logger.info({ worker: number, worker_pid: fresh.process.pid }, 'worker serves');
    });
    return serving;
  }

  return {
    number,
    started: start(),
    link: () => link,
    get restarts() {
      return restarts;
    },
    signal: (signal) => void worker?.process.kill(signal),
    handedOver: () => handedOver(),
    reload: () => void (link !== undefined && worker?.process.kill('SIGHUP')),
    async ended() {
      isLast = true;
      clearTimeout(restarting);
      if (worker !== undefined) await once(worker, 'exit');
    },
  };
}
