import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import type { AddressInfo, Server } from 'node:net';
import { closeListening } from '@countersign/service-kit';

// This file depends on how Node.js 26 shares sockets between processes (`lib/internal/cluster`). The integration tests of SIGTERM under
// load and of a killed worker fail without it.

/** The listening sockets that the primary holds for its workers. */
export type WorkerListeners = Readonly<{
  /** Stops listening at this port after accepting every connection that the kernel has queued there. */
  close(port: number, withinMs: number): Promise<void>;
}>;

type ListenHandle = { listen(backlog: number): number; close(): void; onconnection(...given: unknown[]): void };

/**
 * Remembers the listening sockets that Node.js opens for workers. Call it before the first worker starts.
 *
 * Node.js closes such a socket when its last worker stops listening. That resets the connections still queued in the kernel, so the
 * primary closes the socket itself.
 */
export function trackWorkerListeners(): WorkerListeners {
  const listeners = new Map<number, Readonly<{ handle: ListenHandle; address: AddressInfo }>>();
  subscribe('tracing:net.server.listen:asyncStart', (message) => {
    const { server } = message as { server: Server & { _handle: ListenHandle | null } };
    server.once('listening', () => {
      const { _handle: handle } = server;
      const address = server.address();
      // Node.js removes the handle from a server that listens for workers, and keeps it on the primary's own servers.
      setImmediate(() => {
        if (server._handle === null && handle !== null && typeof address === 'object' && address !== null) {
          listeners.set(address.port, { handle, address });
        }
      });
    });
  });
  return {
    async close(port, withinMs) {
      const listener = listeners.get(port);
      if (listener === undefined) return;
      const { handle, address } = listener;
      let accepted = 0;
      const { onconnection } = handle;
      handle.onconnection = (...given) => {
        accepted += 1;
        onconnection.apply(handle, given);
      };
      await closeListening(
        {
          address,
          accepted: () => accepted,
          setBacklog: (backlog) => handle.listen(backlog),
          close: () => handle.close(),
        },
        withinMs,
      );
    },
  };
}

type ClusterMessage = Readonly<{ act?: string; seq?: number; ack?: number }>;

// A worker's last messages are read after its exit event. A connection it declined may belong to another worker by then.
const lastMessagesMs = 1_000;

/**
 * Closes the connections that were sent to a worker which exited before taking them. Node.js forgets such connections, and their clients
 * would wait forever. Closed, the clients see a reset, as the worker's other clients do.
 *
 * @returns Reads how many connections the worker was sent and has not taken yet.
 */
export function trackHandovers(worker: ChildProcess): () => number {
  const pending = new Map<number, { close(): void }>();
  const send = worker.send as (...given: readonly unknown[]) => boolean;
  worker.send = (message: ClusterMessage, handle?: unknown, ...rest: readonly unknown[]) => {
    if (message.act === 'newconn' && message.seq !== undefined) pending.set(message.seq, handle as { close(): void });
    return send.call(worker, message, handle, ...rest);
  };
  worker.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) pending.delete(ack);
  });
  worker.once('exit', () => {
    setTimeout(() => {
      for (const handle of pending.values()) handle.close();
    }, lastMessagesMs).unref();
  });
  return () => pending.size;
}
