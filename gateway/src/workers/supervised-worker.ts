import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { type Logger, type Metric, ProcessCounts } from '@countersign/process-kit';
import { WorkerChannel } from './worker-channel.ts';
import { type WorkerMessage, type WorkerPorts, workerVariable } from './worker-process.ts';

export type SuperviseOptions = Readonly<{
  logger: Logger;
  /** A process that does not answer for this long is killed. */
  hungAfterMs: number;
}>;

const firstRestartMs = 250;
const maxRestartMs = 30_000;
const steadyMs = 60_000;
const questionsUntilHung = 6;

/** Doubles the delay before each restart, up to 30 s, for a worker that always fails. A minute's run resets it. */
export function createRestartDelay(): (ranMs: number) => number {
  let nextMs = firstRestartMs;
  return (ranMs) => {
    if (ranMs >= steadyMs) nextMs = firstRestartMs;
    const delayMs = nextMs;
    nextMs = Math.min(maxRestartMs, nextMs * 2);
    return delayMs;
  };
}

/** One worker. Its process starts immediately, and is restarted whenever it exits. */
export class SupervisedWorker {
  readonly number: number;
  /** Settles when the first process serves, or with undefined if that process exits first. */
  readonly started: Promise<WorkerPorts | undefined>;
  restarts = 0;
  /** Undefined while no process is serving. */
  channel: WorkerChannel | undefined;
  readonly #options: SuperviseOptions;
  readonly #counts = new ProcessCounts();
  readonly #restartDelay = createRestartDelay();
  #worker: Worker | undefined;
  #restarting: NodeJS.Timeout | undefined;
  #watching: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(number: number, options: SuperviseOptions) {
    this.number = number;
    this.#options = options;
    this.started = this.#start();
  }

  /** Includes the counts of its ended processes. After 2 s without an answer, only those. */
  metrics(): Promise<readonly Metric[]> {
    return this.#counts.read();
  }

  signal(signal: NodeJS.Signals): void {
    this.#worker?.process.kill(signal);
  }

  /** Makes the process read the configuration again. A process that is still starting reads it anyway. */
  reload(): void {
    if (this.channel !== undefined) this.signal('SIGHUP');
  }

  /** Stops restarting. Settles when the process has exited. */
  async ended(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restarting);
    if (this.#worker !== undefined) await once(this.#worker, 'exit');
  }

  #start(): Promise<WorkerPorts | undefined> {
    const worker = cluster.fork({ [workerVariable]: String(this.number) });
    const channel = new WorkerChannel(this.number, worker);
    const startedAt = performance.now();
    this.#worker = worker;
    worker.once('exit', (code, signal) => this.#exited(worker, performance.now() - startedAt, { code, signal }));
    // `disconnect` comes after every message, unlike `exit`: the process may exit before its last message is read.
    worker.once('disconnect', () => this.#counts.end());
    return new Promise((resolve) => {
      worker.once('exit', () => resolve(undefined));
      worker.on('message', ({ countersign: said }: WorkerMessage) => {
        if (said === undefined) return;
        if ('metrics' in said) this.#counts.finish(said.metrics);
        else if ('id' in said) channel.receive(said);
        else {
          this.#onServing(worker, channel);
          resolve(said.ports);
        }
      });
    });
  }

  #onServing(worker: Worker, channel: WorkerChannel): void {
    this.channel = channel;
    this.#counts.begin(() => channel.ask('metrics'));
    this.#watch(worker, channel);
    this.#options.logger.info({ worker: this.number, worker_pid: worker.process.pid }, 'worker serves');
  }

  #exited(worker: Worker, ranMs: number, how: Readonly<{ code: number; signal: string }>): void {
    clearInterval(this.#watching);
    this.channel = undefined;
    this.#worker = undefined;
    if (this.#isStopping) return;
    const again_in_ms = this.#restartDelay(ranMs);
    const fields = { worker: this.number, worker_pid: worker.process.pid, ...how, again_in_ms };
    this.#options.logger.error(fields, 'worker ended');
    this.#restarting = setTimeout(() => {
      this.restarts += 1;
      void this.#start();
    }, again_in_ms);
  }

  /** Kills a process that answers none of six requests. Time would also count a suspension of the primary. */
  #watch({ process: child }: Worker, channel: WorkerChannel): void {
    const { logger, hungAfterMs } = this.#options;
    let unanswered = 0;
    const answered = () => {
      unanswered = 0;
    };
    this.#watching = setInterval(() => {
      if (unanswered < questionsUntilHung) {
        unanswered += 1;
        channel.ask('alive').then(answered, () => {});
        return;
      }
      clearInterval(this.#watching);
      logger.error(
        { worker: this.number, worker_pid: child.pid, silent_ms: hungAfterMs },
        'killing a worker that does not answer',
      );
      child.kill('SIGKILL');
    }, hungAfterMs / questionsUntilHung).unref();
  }
}
