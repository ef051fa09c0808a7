import cluster, { type Worker } from 'node:cluster';

// The messages between the primary and one worker. The first half runs in the worker, the second in the primary.

/** A worker sends this to the primary once it serves. */
export type WorkerReady = Readonly<{ ports: Readonly<{ public: number; internal: number }> }>;

/** A worker that stops sends this when it has answered its last request. The primary sends it back. */
type StopMessage = { countersign?: 'answered' };

/** The environment variable that tells a worker the path of its admin socket. Other processes ignore it. */
export const adminSocketVariable = 'COUNTERSIGN_WORKER_ADMIN';

/** @returns The path of the worker's admin socket. Undefined in a process that is not a worker. */
export function adminSocketOfWorker(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return cluster.isWorker ? env[adminSocketVariable] : undefined;
}

export function reportReady(ready: WorkerReady): void {
  process.send?.({ countersign: ready });
}

/** Lets a worker finish its requests and exit in order after its primary died. Node.js would end it at once. */
export function outlivePrimary(): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
  });
}

/** Waits until the primary has read this worker's metrics after its last request. */
export function waitUntilCounted(): Promise<void> {
  return new Promise((resolve) => {
    process.on('message', ({ countersign }: StopMessage) => {
      if (countersign === 'answered') resolve();
    });
    process.once('disconnect', resolve);
    if (process.connected) process.send?.({ countersign: 'answered' });
    else resolve();
  });
}

/** Lets a worker that stops exit once `readLast` is done. */
export function letWorkerStop(worker: Worker, readLast: () => Promise<unknown>): void {
  worker.on('message', async ({ countersign }: StopMessage) => {
    if (countersign !== 'answered') return;
    await readLast();
    if (worker.isConnected()) worker.send({ countersign });
  });
}

/** Settles when the worker serves, or with undefined when it exits before. */
export function waitUntilReady(worker: Worker): Promise<WorkerReady | undefined> {
  return new Promise((resolve) => {
    worker.on('message', ({ countersign }: { countersign?: WorkerReady | string }) => {
      if (typeof countersign === 'object') resolve(countersign);
    });
    worker.once('exit', () => resolve(undefined));
  });
}
