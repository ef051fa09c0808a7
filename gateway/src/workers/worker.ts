import cluster, { type Worker } from 'node:cluster';

/** What a worker tells the primary, once, when it serves. */
export type WorkerServes = Readonly<{ ports: Readonly<{ public: number; internal: number }> }>;

/** Tells a worker where its primary wants its admin listener. For workers alone: whoever sets it elsewhere changes nothing. */
export const adminSocketVariable = 'COUNTERSIGN_WORKER_ADMIN';

/** @returns Where to have the admin listener; undefined in a process that is no worker. */
export function adminSocketOfWorker(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return cluster.isWorker ? env[adminSocketVariable] : undefined;
}

export function tellPrimary(serves: WorkerServes): void {
  process.send?.({ countersign: serves });
}

/**
 * Lets a worker drain and end in order when its primary is gone. Node.js would end it at once, in the middle of its answers. Nobody hands it
 * connections any more, but those that it has go on.
 */
export function outlivePrimary(): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
  });
}

type CloseMessage = { countersign?: 'closing' | 'close' };

/**
 * Asks the primary whether this worker may stop taking connections, and waits for the answer. Where all stop, the primary stops first: what
 * it has accepted by then is still handed to a worker.
 */
export function mayClose(): Promise<void> {
  return new Promise((resolve) => {
    process.on('message', ({ countersign }: CloseMessage) => {
      if (countersign === 'close') resolve();
    });
    process.once('disconnect', resolve);
    if (process.connected) process.send?.({ countersign: 'closing' });
    else resolve();
  });
}

/** Answers it, once `whenMayClose` says so. */
export function answerMayClose(worker: Worker, whenMayClose: () => Promise<void>): void {
  worker.on('message', async ({ countersign }: CloseMessage) => {
    if (countersign !== 'closing') return;
    await whenMayClose();
    if (worker.isConnected()) worker.send({ countersign: 'close' });
  });
}

/** Settles when it serves, or, with undefined, when it ended before. */
export function whenServing(worker: Worker): Promise<WorkerServes | undefined> {
  return new Promise((resolve) => {
    worker.on('message', ({ countersign }: { countersign?: WorkerServes | string }) => {
      if (typeof countersign === 'object') resolve(countersign);
    });
    worker.once('exit', () => resolve(undefined));
  });
}
