import type { ChildProcess } from 'node:child_process';

/** What Node.js and its workers say to each other, as far as it is read here. */
type ClusterMessage = Readonly<{ act?: string; seq?: number; ack?: number }>;

// What a worker said before it ended is read after its end was seen: one that it did not take may be with another by then.
const lastWordsMs = 1_000;

/**
 * Lets go of the connections that a worker was handed and did not take before it was gone. Node.js waits for the worker's word on each and
 * forgets those it did not get, so that their clients would wait for ever; closed here they see a reset, as the worker's other clients do.
 *
 * It hangs on how Node.js 24 hands connections over (`lib/internal/cluster`); the test that it leaves no client waiting is red without it.
 *
 * @returns How many it was handed and has not taken yet.
 */
export function closeHandedOver(worker: ChildProcess): () => number {
  const waiting = new Map<number, { close(): void }>();
  const send = worker.send as (...given: readonly unknown[]) => boolean;
  worker.send = (message: ClusterMessage, handle?: unknown, ...rest: readonly unknown[]) => {
    if (message.act === 'newconn' && message.seq !== undefined) waiting.set(message.seq, handle as { close(): void });
    return send.call(worker, message, handle, ...rest);
  };
  worker.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) waiting.delete(ack);
  });
  worker.once('exit', () => {
    setTimeout(() => {
      for (const handle of waiting.values()) handle.close();
    }, lastWordsMs).unref();
  });
  return () => waiting.size;
}
