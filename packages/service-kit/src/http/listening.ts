import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
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

// How long a client may take to send its first request. Until it does, Node.js 26 counts its connection as idle.
const firstRequestMs = 1_000;

/**
 * Closes a server after its requests in flight. Idle keep-alive connections end after a second, and responses carry
 * `Connection: close`. Connections still open after `graceMs` are cut. Clients that are already connected get a
 * response; later connections are refused. A client that connects in the instant of the close can be reset.
 */
export async function drainServer(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return;
  // Otherwise a busy keep-alive client holds its connection open until `graceMs` is over.
  server.prependListener('request', (_req, res) => res.setHeader('connection', 'close'));
  const closed = once(server, 'close');
  const cutAtMs = performance.now() + graceMs;
  await untilNoneConnects(server, graceMs / 2);
  // `close` of an HTTP server also closes idle connections, including those of clients that have just connected.
  NetServer.prototype.close.call(server);
  const leftMs = cutAtMs - performance.now();
  const closeIdle = setTimeout(() => server.closeIdleConnections(), Math.min(firstRequestMs, leftMs));
  const cut = setTimeout(() => server.closeAllConnections(), leftMs);
  await closed;
  clearTimeout(closeIdle);
  clearTimeout(cut);
}

// During a long turn, more connections may have arrived since the loop last polled.
const shortTurnMs = 0.5;

/**
 * Waits for a turn of the event loop without a new connection. Closing earlier would reset connections that the kernel
 * has queued, although their clients may have sent a request. Node.js accepts one connection per turn.
 *
 * @param withinMs The longest time that new connections may delay the close.
 */
async function untilNoneConnects(server: Server, withinMs: number): Promise<void> {
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  const untilMs = performance.now() + withinMs;
  // Wait for the start of a whole turn.
  await nextTurn();
  for (let isEmpty = false; !isEmpty && performance.now() < untilMs; ) {
    const before = accepted;
    const startedAt = performance.now();
    await nextTurn();
    isEmpty = accepted === before && performance.now() - startedAt < shortTurnMs;
  }
}
