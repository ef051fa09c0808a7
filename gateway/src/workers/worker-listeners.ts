import { subscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:net';
import { closeListening } from '@countersign/service-kit';

/** The listening sockets that the primary holds for its workers. */
export type WorkerListeners = Readonly<{
  /** Stops listening at this port once all that the kernel has queued there is accepted; the workers keep what they get. */
  close(port: number, withinMs: number): Promise<void>;
}>;

type Handle = { listen(backlog: number): number; close(): void; onconnection(...given: unknown[]): void };

/**
 * Called before the first worker is started. Node.js keeps these sockets to itself, and closes one when the last worker says that it no longer
 * listens, which resets what is queued there and what no worker has taken.
 *
 * It hangs on how Node.js 24 shares a listening socket out (`lib/internal/cluster/round_robin_handle.js`); the test of SIGTERM under new
 * connections is red without it.
 */
export function watchWorkerListeners(): WorkerListeners {
  const handles = new Map<number, Handle>();
  subscribe('tracing:net.server.listen:asyncStart', (message) => {
    const { server } = message as { server: Server & { _handle: Handle | null } };
    server.once('listening', () => {
      const { _handle: handle } = server;
      const address = server.address();
      // From the listeners of this process Node.js takes nothing away.
      setImmediate(() => {
        if (server._handle === null && handle !== null && typeof address === 'object' && address !== null) {
          handles.set(address.port, handle);
        }
      });
    });
  });
  return {
    async close(port, withinMs) {
      const handle = handles.get(port);
      if (handle === undefined) return;
      let accepted = 0;
      const { onconnection } = handle;
      handle.onconnection = (...given) => {
        accepted += 1;
        onconnection.apply(handle, given);
      };
      await closeListening(
        {
          accepted: () => accepted,
          setBacklog: (backlog) => handle.listen(backlog),
          close: () => handle.close(),
        },
        withinMs,
      );
    },
  };
}
