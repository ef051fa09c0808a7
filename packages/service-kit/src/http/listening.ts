import cluster from 'node:cluster';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect, Server as NetServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StartupError } from '../process/lifecycle.ts';

/**
 * Opens a listener.
 *
 * @returns The port in use. It differs from `address.port` when that is 0.
 * @throws StartupError when the port is in use or cannot be opened.
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

// How long a client may take to send its first request. Until then, Node.js 26 counts its connection as idle.
const firstRequestMs = 1_000;

/**
 * Closes a server after its requests in flight. Idle keep-alive connections end after a second, and responses carry
 * `Connection: close`. Connections still open after `graceMs` are cut. Clients that are already connected get a response;
 * later connections are refused.
 */
export async function drainServer(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return;
  // Otherwise a busy keep-alive client holds its connection open until `graceMs` is over.
  server.prependListener('request', (_req, res) => res.setHeader('connection', 'close'));
  const closed = once(server, 'close');
  const cutAtMs = performance.now() + graceMs;
  await closeListening(listeningOf(server), graceMs / 2);
  const leftMs = cutAtMs - performance.now();
  const closeIdle = setTimeout(() => server.closeIdleConnections(), Math.min(firstRequestMs, leftMs));
  const cut = setTimeout(() => server.closeAllConnections(), leftMs);
  await closed;
  clearTimeout(closeIdle);
  clearTimeout(cut);
}

function listeningOf(server: Server): Listening {
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  return {
    // In a cluster worker the primary holds the socket, and closes it itself.
    address: cluster.isWorker ? undefined : (server.address() as AddressInfo),
    accepted: () => accepted,
    setBacklog(backlog) {
      // Node.js has no public API for this. In a cluster worker the handle is a stand-in that does nothing.
      const { _handle: handle } = server as unknown as { _handle: { listen(backlog: number): number } | null };
      handle?.listen(backlog);
    },
    // The method of the HTTP server also closes idle connections, and with them those of clients that just connected.
    close: () => NetServer.prototype.close.call(server),
  };
}

/** A listening socket. */
export type Listening = Readonly<{
  /** Undefined if another process holds the socket. */
  address: AddressInfo | undefined;
  /** The number of connections accepted so far. */
  accepted(): number;
  /** Calls listen(2) again. */
  setBacklog(backlog: number): void;
  close(): void;
}>;

// During a longer turn, more connections may arrive after the loop last polled.
const shortTurnMs = 0.5;
const usualBacklog = 511;
// The kernel queues one connection more than this. With 0, it assumes a SYN flood.
const minBacklog = 1;

/**
 * Stops listening after every connection in the kernel's queue is accepted. Closing at once would reset those, although
 * their clients are connected and may have sent a request. Node.js accepts one connection per turn of the event loop, so
 * a turn without one means that the queue is empty.
 *
 * A client could still connect between that turn and the close. So connections of our own fill a shortened queue first.
 *
 * @param withinMs The longest time that new connections may keep the listener open.
 */
export async function closeListening(listening: Listening, withinMs: number): Promise<void> {
  const { address, accepted, setBacklog, close } = listening;
  const untilMs = performance.now() + withinMs;
  const shortenAtMs = untilMs - withinMs / 2;
  // Wait for the start of a whole turn.
  await nextTurn();
  for (let isEmpty = false; !isEmpty && performance.now() < untilMs; ) {
    const before = accepted();
    const startedAt = performance.now();
    await nextTurn();
    isEmpty = accepted() === before && performance.now() - startedAt < shortTurnMs;
    // Clients connect faster than Node.js accepts them. The kernel drops what does not fit.
    if (performance.now() > shortenAtMs) setBacklog(minBacklog);
    if (isEmpty && address !== undefined) {
      setBacklog(minBacklog);
      isEmpty = await fillQueue(address);
      if (!isEmpty && performance.now() < shortenAtMs) setBacklog(usualBacklog);
    }
  }
  close();
}

/**
 * Fills the kernel's queue with connections of this process. On Linux, a local connection is in the queue once connect(2)
 * returns.
 *
 * @returns Whether the queue now holds only these. If so, no other client can connect until the next turn.
 */
async function fillQueue({ address, port, family }: AddressInfo): Promise<boolean> {
  const unspecified = family === 'IPv6' ? '::' : '0.0.0.0';
  const loopback = family === 'IPv6' ? '::1' : '127.0.0.1';
  const host = address === unspecified ? loopback : address;
  const fillers = Array.from({ length: minBacklog + 1 }, () => connect({ host, port }).on('error', () => {}));
  // Node.js calls connect(2) in the next tick, which is still in this turn of the event loop.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const areQueued = fillers.every(isConnected);
  for (const filler of fillers) filler.destroy();
  return areQueued;
}

/** Whether the handshake is complete, even if the event loop has not reported it yet. */
function isConnected(socket: Socket): boolean {
  const { _handle: handle } = socket as unknown as { _handle: { getpeername(into: object): number } | null };
  return handle?.getpeername({}) === 0;
}
