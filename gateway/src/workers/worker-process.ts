import cluster from 'node:cluster';
import { type Health, type Metric, type Registry, toAppError } from '@countersign/process-kit';
import type { ReadState } from '../admin/admin-app.ts';
import type { ConsoleData } from '../admin/api/admin-api.ts';

// How a worker serves its primary, in node:cluster messages.

export type WorkerPorts = Readonly<{ public: number; internal: number }>;

/** What the primary can ask a worker. Answers are JSON. */
export type WorkerAnswers = Readonly<{
  alive(): true;
  ready: Health['ready'];
  metrics(): Promise<readonly Metric[]>;
  state: ReadState;
}> &
  ConsoleData;

/** `answer` is JSON. It is absent if the value does not exist. */
export type WorkerAnswer = Readonly<{
  id: number;
  answer?: string | undefined;
  failed?: Pick<ReturnType<typeof toAppError>, 'code' | 'errors'>;
}>;

/** `ports` means that the worker serves. `metrics` means that it has finished its last request and exits. */
export type WorkerMessage = Readonly<{
  countersign?: Readonly<{ ports: WorkerPorts }> | Readonly<{ metrics: readonly Metric[] }> | WorkerAnswer;
}>;

type Question = Readonly<{ id: number; ask: keyof WorkerAnswers; given: readonly unknown[] }>;
export type PrimaryMessage = Readonly<{ countersign?: Question }>;

/** The environment variable that identifies a process as a worker of this primary. Other processes ignore it. */
export const workerVariable = 'COUNTERSIGN_WORKER';

export const isWorker = (env: Readonly<Record<string, string | undefined>>): boolean =>
  cluster.isWorker && env[workerVariable] !== undefined;

const send = (countersign: NonNullable<WorkerMessage['countersign']>) =>
  new Promise<void>((resolve) => {
    // The primary may already have exited.
    if (process.connected) process.send?.({ countersign }, undefined, undefined, () => resolve());
    else resolve();
  });

/** Answers the primary from now on. If it dies, the worker finishes its requests and exits normally. */
export function reportReady({ public: publicPort, internal }: WorkerPorts, answers: WorkerAnswers): void {
  const { worker } = cluster;
  // Otherwise Node.js would end the process immediately.
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
  });
  process.on('message', async ({ countersign: asked }: PrimaryMessage) => {
    if (asked !== undefined) await send(await answerTo(asked, answers));
  });
  void send({ ports: { public: publicPort, internal } });
}

/** Call it after the last request. Settles once the message is sent. */
export const reportCounts = async (metrics: Registry): Promise<void> =>
  send({ metrics: await metrics.getMetricsAsJSON() });

async function answerTo({ id, ask, given }: Question, answers: WorkerAnswers): Promise<WorkerAnswer> {
  try {
    const answer = answers[ask] as (...given: readonly unknown[]) => unknown;
    return { id, answer: JSON.stringify(await answer(...given)) };
  } catch (error) {
    const { code, errors } = toAppError(error);
    return { id, failed: { code, errors } };
  }
}
