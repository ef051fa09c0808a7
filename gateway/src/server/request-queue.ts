import type { IncomingMessage } from 'node:http';

/** A request that may have to wait for others. */
export type Turn = Readonly<{ req: IncomingMessage }>;

const safeMethods: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

const isSafe = ({ req: { method, headers, upgrade } }: Turn & Readonly<{ req: { upgrade?: boolean } }>): boolean =>
  safeMethods.has(method) &&
  upgrade !== true &&
  headers['content-length'] === undefined &&
  headers['transfer-encoding'] === undefined;

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
export class RequestQueue<Each extends Turn> {
  readonly #run: (turn: Each) => void;
  readonly #running: Each[] = [];
  readonly #waiting: Each[] = [];

  /** @param run Called when a request may run: at once, if nothing else is running. */
  constructor(run: (turn: Each) => void) {
    this.#run = run;
  }

  add(turn: Each): void {
    if (this.#running.length > 0 || this.#waiting.length > 0) {
      this.#waiting.push(turn);
      this.#runNext();
    } else this.#start(turn);
  }

  /** The request was answered, or its client left. */
  finish(turn: Each): void {
    const at = this.#running.indexOf(turn);
    if (at !== -1) this.#running.splice(at, 1);
    if (this.#waiting.length > 0) this.#runNext();
  }

  #start(turn: Each): void {
    // The client left while the request waited, or a response closed the connection.
    if (!turn.req.socket.writable) return;
    this.#running.push(turn);
    this.#run(turn);
  }

  #runNext(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#mayRun(first); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#start(first);
    }
  }

  #mayRun(turn: Each): boolean {
    return this.#running.length === 0 || (isSafe(turn) && this.#running.every(isSafe));
  }
}
