import type { IncomingMessage } from 'node:http';

/**
 * Orders the pipelined requests of one connection. Node hands out all of them at once and orders only their responses, so a request could
 * overtake a POST that was sent before it.
 *
 * Safe requests without a body may run in parallel (RFC 9112 section 9.3.2). Other requests run alone. An upgrade runs last, because it
 * takes over the connection.
 *
 * Requests behind a response that closes the connection never run (RFC 9112 section 9.6). If that response was sent because the end of a
 * body is unknown, the next request may have been smuggled in that body.
 */
export type RequestQueue = Readonly<{
  /** @param run Called when the request may run: at once, if nothing else is running. */
  add(request: IncomingMessage, run: () => void, kind?: 'upgrade'): void;
  /** The request was answered, or its client left. */
  finish(request: IncomingMessage): void;
}>;

type Queued = Readonly<{ request: IncomingMessage; run: () => void; isSafe: boolean }>;

const safeMethods: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

const isSafe = ({ method, headers }: IncomingMessage): boolean =>
  safeMethods.has(method) && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;

export function createRequestQueue(): RequestQueue {
  const running = new Map<IncomingMessage, Queued>();
  const waiting: Queued[] = [];

  const mayRun = ({ isSafe }: Queued): boolean =>
    running.size === 0 || (isSafe && [...running.values()].every((other) => other.isSafe));

  function runNext(): void {
    for (let first = waiting[0]; first !== undefined && mayRun(first); first = waiting[0]) {
      waiting.shift();
      // The client left while the request waited, or a response closed the connection.
      if (first.request.destroyed || !first.request.socket.writable) continue;
      running.set(first.request, first);
      first.run();
    }
  }

  return {
    add(request, run, kind) {
      waiting.push({ request, run, isSafe: kind !== 'upgrade' && isSafe(request) });
      runNext();
    },
    finish(request) {
      running.delete(request);
      runNext();
    },
  };
}
