import type { Server } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';

// In a longer turn others may have come behind what the loop last looked at.
const shortTurnMs = 0.5;
// The least that does not make the kernel think of a SYN flood.
const leastBacklog = 1;

/**
 * Stops listening once every connection that the kernel has queued is accepted. `server.close()` alone resets those, though their clients
 * are connected and have perhaps sent a request. Node.js accepts one connection in each turn of the event loop, so a turn without one finds
 * the queue empty; its end is the moment to close.
 *
 * @param withinMs How long clients that go on coming may keep it open.
 * @returns When it no longer listens. Connections that were accepted go on.
 */
export async function closeListening(server: Server, withinMs: number): Promise<void> {
  const untilMs = performance.now() + withinMs;
  let accepted = 0;
  const count = () => {
    accepted += 1;
  };
  server.on('connection', count);
  refuseMore(server);
  // To where a whole turn begins.
  await nextTurn();
  for (let isEmpty = false; !isEmpty && performance.now() < untilMs; ) {
    const before = accepted;
    const startedAt = performance.now();
    await nextTurn();
    isEmpty = accepted === before && performance.now() - startedAt < shortTurnMs;
  }
  server.off('connection', count);
  server.close();
}

/**
 * Shortens the queue, so that it gets empty although more come: the kernel drops what does not fit, and a client that tries again a second
 * later is told that nobody listens. Node.js has no public way to call listen(2) once more.
 */
function refuseMore(server: Server): void {
  const { _handle: handle } = server as unknown as { _handle?: { listen?(backlog: number): number } | null };
  handle?.listen?.(leastBacklog);
}
