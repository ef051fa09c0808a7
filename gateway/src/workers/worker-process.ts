import cluster from 'node:cluster';
import type { Registry } from '@countersign/service-kit';
import type { Metric } from './worker-admin.ts';

// What a worker does for its primary. Both messages go one way; everything else the primary asks over the admin socket.

export type WorkerPorts = Readonly<{ public: number; internal: number }>;

/** The ports: the worker serves. The metrics: it has answered its last request, and exits. */
export type WorkerMessage = Readonly<{
  countersign?: Readonly<{ ports: WorkerPorts }> | Readonly<{ metrics: readonly Metric[] }>;
}>;

/** The environment variable that tells a worker the path of its admin socket. Other processes ignore it. */
export const adminSocketVariable = 'COUNTERSIGN_WORKER_ADMIN';

/** @returns The path of the worker's admin socket. Undefined in a process that is not a worker. */
export function adminSocketOfWorker(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return cluster.isWorker ? env[adminSocketVariable] : undefined;
}

/** Tells the primary that this worker serves. If the primary dies, the worker finishes its requests and exits in order. */
export function reportReady({ public: publicPort, internal }: WorkerPorts): void {
  const { worker } = cluster;
  // Node.js would end it at once.
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
  });
  process.send?.({ countersign: { ports: { public: publicPort, internal } } } satisfies WorkerMessage);
}

/** Sends the primary what this worker has counted up to its last request. Settles when the message is sent. */
export async function reportCounts(metrics: Registry): Promise<void> {
  const message: WorkerMessage = { countersign: { metrics: await metrics.getMetricsAsJSON() } };
  await new Promise<void>((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}
