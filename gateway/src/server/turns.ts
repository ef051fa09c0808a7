import type { IncomingMessage } from 'node:http';

/**
 * Whose turn it is among the requests that came behind one another on one connection. Node hands out all of them at once, and orders
 * only their answers: what was written behind a POST would overtake it. Safe ones without a body may go side by side (RFC 9112 section
 * 9.3.2); an upgrade goes last and alone, since it takes the connection with it.
 *
 * Behind an answer that ends the connection nobody gets a turn (RFC 9112 section 9.6): where that was because nobody can say where a
 * body ends, what comes next may have been hidden in it.
 */
export type Turns = Readonly<{
  /** @param run Called once it is its turn: at once, where nothing else is under way. */
  come(request: IncomingMessage, run: () => void, kind?: 'upgrade'): void;
  /** It is answered, or nobody waits for it any more. */
  gone(request: IncomingMessage): void;
}>;

type Turn = Readonly<{ request: IncomingMessage; run: () => void; isSafe: boolean }>;

const safe: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

const isSafe = ({ method, headers }: IncomingMessage): boolean =>
  safe.has(method) && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;

export function createTurns(): Turns {
  const running = new Map<IncomingMessage, Turn>();
  const waiting: Turn[] = [];

  const mayRun = ({ isSafe }: Turn): boolean =>
    running.size === 0 || (isSafe && [...running.values()].every((other) => other.isSafe));

  function begin(): void {
    for (let first = waiting[0]; first !== undefined && mayRun(first); first = waiting[0]) {
      waiting.shift();
      // Its client left while it waited, or was told that this is over.
      if (first.request.destroyed || !first.request.socket.writable) continue;
      running.set(first.request, first);
      first.run();
    }
  }

  return {
    come(request, run, kind) {
      waiting.push({ request, run, isSafe: kind !== 'upgrade' && isSafe(request) });
      begin();
    },
    gone(request) {
      running.delete(request);
      begin();
    },
  };
}
