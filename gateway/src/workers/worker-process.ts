import cluster, { type Worker } from 'node:cluster';

// The messages between the primary and one worker. The first half runs in the worker, the second in the primary.

/** A worker sends this to the primary once it serves. */
export type WorkerReady = Readonly<{ ports: Readonly<{ public: number; internal: number }> }>;

type CloseMessage = { countersign?: 'closing' | 'close' };

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

/**
 * Waits until the primary lets this worker stop accepting connections. When all workers stop, the primary closes its listening socket
 * first, and the connections it has accepted by then still go to a worker.
 */
export function waitUntilMayClose(): Promise<void> {
  return new Promise((resolve) => {
    process.on('message', ({ countersign }: CloseMessage) => {
      if (countersign === 'close') resolve();
    });
    process.once('disconnect', resolve);
    if (process.connected) process.send?.({ countersign: 'closing' });
    else resolve();
  });
}

/** Answers {@link waitUntilMayClose} of one worker once `listenerClosed` settles. */
export function letWorkerClose(worker: Worker, listenerClosed: () => Promise<void>): void {
  worker.on('message', async ({ countersign }: CloseMessage) => {
    if (countersign !== 'closing') return;
    await listenerClosed();
    if (worker.isConnected()) worker.send({ countersign: 'close' });
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
