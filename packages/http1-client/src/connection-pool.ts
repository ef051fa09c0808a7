import { Connection, type ConnectionOwner, type ConnectionTimeouts } from './connection.ts';
import type { Dispatcher, DispatchHandler, DispatchOptions } from './dispatcher.ts';
import { HttpClientError } from './http-client-error.ts';
import type { SocketOpener } from './open-socket.ts';
import { PooledRequest, requestHead } from './pooled-request.ts';

/** Named like the options of undici's `Pool`. */
export type ConnectionPoolOptions = ConnectionTimeouts &
  Readonly<{
    opener: SocketOpener;
    /** Other requests wait until a connection is free, or until their handlers abort them. */
    connections: number;
  }>;

const minTickMs = 10;
const maxTickMs = 100;

/** The connections to one target. Each carries one request at a time, and other requests wait in order. */
export class ConnectionPool implements Dispatcher, ConnectionOwner {
  readonly opener: SocketOpener;
  readonly clock: TickClock;
  readonly timeouts: ConnectionTimeouts;
  readonly #maxConnections: number;
  readonly #ownLines: string;
  readonly #connections = new Set<Connection>();
  /** Idle connections, with the most recently used one last. */
  readonly #idle: Connection[] = [];
  /** Not reusable yet: a faulty service may still send a body that HTTP does not allow. */
  readonly #settling = new Set<Connection>();
  readonly #queue: PooledRequest[] = [];
  #assigned: Connection[] = [];
  #isClosing = false;
  readonly #closed = Promise.withResolvers<void>();

  /** @param origin Its host and port become the value of `Host`. The opener decides where to connect. */
  constructor(origin: string, options: ConnectionPoolOptions) {
    const { headersTimeout, bodyTimeout, keepAliveTimeout, connections, opener } = options;
    const shortest = Math.min(headersTimeout, bodyTimeout, keepAliveTimeout || Number.POSITIVE_INFINITY);
    this.#maxConnections = connections;
    this.opener = opener;
    this.timeouts = options;
    this.clock = new TickClock(Math.max(minTickMs, Math.min(maxTickMs, shortest / 8)), this.#onTick);
    const connection = keepAliveTimeout > 0 ? 'keep-alive' : 'close';
    this.#ownLines = `\r\nhost: ${new URL(origin).host}\r\nconnection: ${connection}`;
  }

  get size(): number {
    return this.#connections.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean {
    const request = new PooledRequest(options, handler);
    try {
      if (this.#isClosing) throw closed();
      request.head = requestHead(options, this.#ownLines);
      this.#place(request);
    } catch (error) {
      request.fail(error);
    }
    return this.#queue.length === 0;
  }

  /** Queued requests are still sent. */
  close(): Promise<void> {
    this.#isClosing = true;
    for (const connection of [...this.#idle, ...this.#settling]) connection.close();
    this.#closeIfDone();
    return this.#closed.promise;
  }

  destroy(): Promise<void> {
    this.#isClosing = true;
    for (const request of this.#queue.splice(0)) request.fail(closed());
    for (const connection of [...this.#connections]) connection.abort(closed());
    return this.close();
  }

  connectionReady(connection: Connection): void {
    this.#settling.delete(connection);
    const next = connection.mayBeReused() ? this.#queue.shift() : undefined;
    if (next !== undefined) this.#assign(connection, next);
    else if (this.#isClosing || !connection.mayBeReused()) connection.close();
    else this.#idle.push(connection);
  }

  connectionSettling(connection: Connection): void {
    if (this.#isClosing || this.#queue.length > 0) connection.close();
    else this.#settling.add(connection);
  }

  connectionClosed(connection: Connection, unsent: PooledRequest | undefined): void {
    this.#connections.delete(connection);
    this.#settling.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    const next = unsent ?? this.#queue.shift();
    if (next !== undefined) this.#place(next);
    else this.#closeIfDone();
  }

  #place(request: PooledRequest): void {
    const idle = this.#takeIdle();
    if (idle === undefined && this.#connections.size >= this.#maxConnections) {
      const [settling] = this.#settling;
      settling?.close();
    }
    if (idle !== undefined) this.#assign(idle, request);
    else if (this.#connections.size < this.#maxConnections) this.#open(request);
    else this.#queue.push(request);
  }

  #open(request: PooledRequest): void {
    this.clock.start();
    const connection = new Connection(this);
    this.#connections.add(connection);
    connection.assign(request);
  }

  #takeIdle(): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.mayBeReused()) return connection;
      connection.close();
    }
  }

  /**
   * Sends the request after the poll phase of the event loop. By then, bytes or a FIN that arrived before the request
   * have been seen, so they are never taken for its response.
   */
  #assign(connection: Connection, request: PooledRequest): void {
    connection.assign(request);
    this.#assigned.push(connection);
    if (this.#assigned.length === 1) setImmediate(this.#beginAssigned);
  }

  readonly #beginAssigned = (): void => {
    const assigned = this.#assigned;
    this.#assigned = [];
    for (const connection of assigned) connection.begin();
  };

  readonly #onTick = (): void => {
    for (const connection of this.#connections) connection.tick(this.clock);
  };

  #closeIfDone(): void {
    if (this.#connections.size > 0) return;
    this.clock.stop();
    if (this.#isClosing) this.#closed.resolve();
  }
}

const closed = (): HttpClientError => new HttpClientError('UPSTREAM_POOL_CLOSED', 'the pool is closed');

/** Counts time in ticks, so that requests need no timers. */
class TickClock {
  /** Hardly advances while the event loop is blocked, so responses that arrived meanwhile do not time out. */
  nowMs = 0;
  /** Includes the time in which the loop was blocked, because a service closes idle connections meanwhile. */
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

  /** @returns When a timeout that starts now expires, on this clock. It never expires early. */
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
