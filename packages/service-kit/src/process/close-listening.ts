import { setImmediate as nextTurn } from 'node:timers/promises';

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
