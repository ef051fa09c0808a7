import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StartupError } from '../process/lifecycle.ts';

/**
 * Listens, and turns a taken port into a sentence.
 *
 * @returns The port in use, which differs from the one asked for when that was 0.
 */
export async function listen(server: Server, address: { host: string; port: number }, name: string): Promise<number> {
  server.listen(address.port, address.host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === 'EADDRINUSE' ? 'is already in use' : `cannot be opened (${code ?? 'unknown error'})`;
    throw new StartupError(`${name}: ${address.host}:${address.port} ${reason}`, { cause: error });
  }
  return (server.address() as AddressInfo).port;
}

/**
 * Closes a server once everything in flight is answered. Idle keep-alive connections end at once and answers under way
 * carry `Connection: close`; what is still open after `graceMs` is cut. A client that is connected by now is answered, and one that comes
 * later is refused.
 */
export async function drainServer(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return;
  // Without this a busy keep-alive client would hold its connection open until the grace is over.
  server.prependListener('request', (_req, res) => res.setHeader('connection', 'close'));
  const closed = once(server, 'close');
  const cutAtMs = performance.now() + graceMs;
  await closeListening(listeningOf(server), graceMs / 2);
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), cutAtMs - performance.now());
  await closed;
  clearTimeout(cut);
}

function listeningOf(server: Server): Listening {
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  return {
    accepted: () => accepted,
    setBacklog(backlog) {
      // Node.js has no public way to it. In a worker of a cluster this is a stand-in that does nothing.
      const { _handle: handle } = server as unknown as { _handle: { listen(backlog: number): number } | null };
      handle?.listen(backlog);
    },
    close: () => server.close(),
  };
}

/** A listening socket. */
export type Listening = Readonly<{
  /** How many connections were accepted so far. */
  accepted(): number;
  /** Calls listen(2) once more. */
  setBacklog(backlog: number): void;
  close(): void;
}>;

// In a longer turn others may have come behind what the loop last looked at.
const shortTurnMs = 0.5;
// The least that does not make the kernel think of a SYN flood.
const minBacklog = 1;

/**
 * Stops listening once every connection that the kernel has queued is accepted. Closing alone resets those, though their clients are
 * connected and have perhaps sent a request. Node.js accepts one connection in each turn of the event loop, so a turn without one finds
 * the queue empty, and its end is the moment to close.
 *
 * The queue is shortened first, so that it gets empty although more clients come: the kernel drops what does not fit, and a client that tries
 * again a second later is refused.
 *
 * @param withinMs How long clients that go on coming may keep it open.
 */
export async function closeListening({ accepted, setBacklog, close }: Listening, withinMs: number): Promise<void> {
  const untilMs = performance.now() + withinMs;
  setBacklog(minBacklog);
  // To where a whole turn begins.
  await nextTurn();
  for (let isEmpty = false; !isEmpty && performance.now() < untilMs; ) {
    const before = accepted();
    const startedAt = performance.now();
    await nextTurn();
    isEmpty = accepted() === before && performance.now() - startedAt < shortTurnMs;
  }
  close();
}
