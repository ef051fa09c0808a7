import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StartupError } from '../process/lifecycle.ts';

// After a restart, thousands of event streams connect at once. With Node's 511, the kernel would drop most of them, and
// clients would retry only after seconds. Linux bounds it by `net.core.somaxconn`, 4,096 by default.
const backlog = 4_096;

/**
 * @returns The port in use.
 * @throws StartupError if the port is in use or cannot be opened.
 */
export async function listen(server: Server, address: { host: string; port: number }, name: string): Promise<number> {
  server.listen({ ...address, backlog });
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === 'EADDRINUSE' ? 'is already in use' : `cannot be opened (${code ?? 'unknown error'})`;
    throw new StartupError(`${name}: ${address.host}:${address.port} ${reason}`, { cause: error });
  }
  return (server.address() as AddressInfo).port;
}

// How long a new connection has for its first request. Until then, Node.js 26 counts it as idle.
const firstRequestMs = 1_000;

/**
 * Closes a server after its current requests. Idle keep-alive connections end after a second, and responses carry
 * `Connection: close`. After `graceMs`, open connections are cut. Peers that are already connected get a response.
 * Later connections are refused, or reset if they arrive in the instant of the close.
 */
export async function drainServer(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return;
  // Otherwise a busy keep-alive connection stays open until `graceMs` is over.
  server.prependListener('request', (_req, res) => res.setHeader('connection', 'close'));
  const closed = once(server, 'close');
  const cutAtMs = performance.now() + graceMs;
  await untilNoneConnects(server, graceMs / 2);
  // An HTTP server's `close` also closes idle connections, including those that were just opened.
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
 * has queued and that may already carry a request. Node.js accepts one connection per turn.
 *
 * @param withinMs The longest time that new connections can delay the close.
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
