/** All in milliseconds. */
export type ConnectionTimeouts = Readonly<{
  /** From the end of the request to the response head. Also while the service does not read the request. */
  headersTimeout: number;
  /** Between two reads of a response body, while it is not paused. */
  bodyTimeout: number;
  /** How long an idle connection is kept, unless the service names a time. With 0, each request gets a new one. */
  keepAliveTimeout: number;
}>;

const maxIdleMs = 600_000;

/**
 * How long an idle connection is kept.
 *
 * @param keepAlive The service's `Keep-Alive`. A second less than its time, so that a request does not meet a closing connection.
 */
export function idleTimeMs({ keepAliveTimeout }: ConnectionTimeouts, keepAlive: string | undefined): number {
  if (keepAlive === undefined || keepAliveTimeout === 0) return keepAliveTimeout;
  if (keepAlive !== lastKeepAlive) {
    lastSeconds = /(?:^|[\s,;])timeout\s*=\s*"?([0-9]{1,9})(?![0-9])/i.exec(keepAlive)?.[1];
    lastKeepAlive = keepAlive;
  }
  return lastSeconds === undefined ? keepAliveTimeout : Math.min(Number(lastSeconds) * 1000 - 1000, maxIdleMs);
}

// A service sends the same value each time.
let lastKeepAlive = '';
let lastSeconds: string | undefined;

/** Counts time in ticks, so that a request needs no timer. */
export class TickClock {
  /**
   * Milliseconds since the first start, as of the last tick. While the event loop is blocked, hardly any time passes:
   * responses that arrived meanwhile are read before they time out.
   */
  nowMs = 0;
  /** As of the last tick, in which all time passes: a service closes idle connections while the event loop is blocked. */
  realMs = 0;
  readonly tickMs: number;
  readonly #onTick: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(tickMs: number, onTick: () => void) {
    this.tickMs = tickMs;
    this.#onTick = onTick;
  }

  /** Calling it again is harmless. The timer does not keep the process alive. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.realMs = performance.now();
    this.#timer = setInterval(this.#tick, this.tickMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** @returns The end of a time that starts now. It never comes early. */
  after(ms: number): number {
    return this.nowMs + ms + this.tickMs;
  }

  readonly #tick = (): void => {
    const nowMs = performance.now();
    this.nowMs += Math.min(nowMs - this.realMs, 2 * this.tickMs);
    this.realMs = nowMs;
    this.#onTick();
  };
}
