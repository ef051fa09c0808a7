import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createListener } from '../../../gateway/src/listen/listener.ts';
import { createListenerApp, type Handlers } from '../../../gateway/src/listen/request-handler.ts';
import { forkPinned } from '../machine/processes.ts';

/** How many requests arrive at once, each on its own connection. */
export const batchSize = 64;

/**
 * A server in this process. Its promises settle once a whole batch has arrived, and once a whole batch was answered.
 */
export type BatchServer = Readonly<{ port: number; arrived(): Promise<void>; answered(): Promise<void> }>;

/** Starts a client on its own core. It sends a batch when it receives the port. */
export function startClient(requestsFile: string, cores: string | undefined): ChildProcess {
  const program = join(import.meta.dirname, 'lockstep-client-program.ts');
  return forkPinned(program, { args: [requestsFile, String(batchSize)], cores }).process;
}

export const openListener = (handlers: Handlers): Promise<BatchServer> =>
  openBatchServer(
    createListener(
      createListenerApp(
        { current: { handlers: { public: handlers, internal: handlers }, events: { find: () => undefined } } },
        'public',
      ),
    ),
  );

/** Node's server alone, as the baseline. */
export const openBareServer = (hold: (response: ServerResponse) => void): Promise<BatchServer> =>
  openBatchServer(createServer((_request, response) => hold(response)));

async function openBatchServer(server: Server): Promise<BatchServer> {
  const arrivals = countBatches();
  const answers = countBatches();
  server.on('request', (_request, response: ServerResponse) => {
    arrivals.add();
    response.once('close', answers.add);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, arrived: arrivals.next, answered: answers.next };
}

function countBatches(): Readonly<{ add(): void; next(): Promise<void> }> {
  let count = 0;
  let done: (() => void) | undefined;
  return {
    add() {
      count += 1;
      if (count % batchSize === 0) done?.();
    },
    next: () =>
      new Promise((resolve) => {
        done = resolve;
      }),
  };
}
