import { Connection, type ConnectionOwner } from './connection.ts';
import { ExchangeError } from './exchange-error.ts';
import type { SocketOpener } from './open-socket.ts';
import { type ConnectionTimeouts, TickClock } from './timeouts.ts';
import { type ResponseHandler, requestHead, UpstreamExchange, type UpstreamRequest } from './upstream-exchange.ts';

export type ConnectionPoolOptions = ConnectionTimeouts &
  Readonly<{
    /** The value of `Host`. */
    host: string;
    opener: SocketOpener;
    maxConnections: number;
    /** How long a request waits for a connection when all are in use. */
    queueTimeoutMs: number;
  }>;

const minTickMs = 10;
const maxTickMs = 100;

/** The connections to one target. Each carries one request at a time; the others wait in order. */
export class ConnectionPool implements ConnectionOwner {
  readonly opener: SocketOpener;
  readonly clock: TickClock;
  readonly timeouts: ConnectionTimeouts;
  readonly #options: ConnectionPoolOptions;
  readonly #ownLines: string;
  readonly #connections = new Set<Connection>();
  /** The last one was used last. */
  readonly #idle: Connection[] = [];
  /** Not ready yet: a faulty service may still send a body that must not come. */
  readonly #settling = new Set<Connection>();
  readonly #queue: UpstreamExchange[] = [];
  #assigned: Connection[] = [];
  #isClosing = false;
  #onClosed: (() => void) | undefined;

  constructor(options: ConnectionPoolOptions) {
    const { headTimeoutMs, bodyTimeoutMs, idleTimeoutMs, queueTimeoutMs, host, opener } = options;
    const shortest = Math.min(headTimeoutMs, bodyTimeoutMs, idleTimeoutMs || Number.POSITIVE_INFINITY, queueTimeoutMs);
    this.#options = options;
    this.opener = opener;
    this.timeouts = options;
    this.clock = new TickClock(Math.max(minTickMs, Math.min(maxTickMs, shortest / 8)), this.#onTick);
    this.#ownLines = `host: ${host}\r\nconnection: ${idleTimeoutMs > 0 ? 'keep-alive' : 'close'}\r\n`;
  }

  /** Connections, with those that are still connecting. */
  get size(): number {
    return this.#connections.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /**
   * Sends a request, as soon as there is a connection. Failures reach the handler, and may do so before this returns.
   */
  send(request: UpstreamRequest, handler: ResponseHandler): UpstreamExchange {
    let head = '';
    let refusal: unknown;
    try {
      if (this.#isClosing) throw new ExchangeError('UPSTREAM_POOL_CLOSED', 'the pool is closed');
      head = requestHead(request, this.#ownLines);
    } catch (error) {
      refusal = error;
    }
    const exchange = new UpstreamExchange(request, handler, head);
    if (refusal === undefined) this.#place(exchange);
    else exchange.fail(refusal);
    return exchange;
  }

  /** Closes idle connections now, and others after their exchanges. Queued requests are still sent. */
  close(): Promise<void> {
    this.#isClosing = true;
    for (const connection of [...this.#idle, ...this.#settling]) connection.close();
    return new Promise((resolve) => {
      const before = this.#onClosed;
      this.#onClosed = () => {
        before?.();
        resolve();
      };
      this.#closeIfDone();
    });
  }

  /** Closes all connections now. Unfinished exchanges fail with `reason`. */
  destroy(reason: unknown = new ExchangeError('UPSTREAM_POOL_CLOSED', 'the pool is closed')): void {
    this.#isClosing = true;
    for (const exchange of this.#queue.splice(0)) exchange.fail(reason);
    for (const connection of [...this.#connections]) connection.abort(reason);
    for (const connection of [...this.#connections]) connection.close();
  }

  connectionReady(connection: Connection): void {
    this.#settling.delete(connection);
    const next = connection.mayBeReused() ? this.#nextQueued() : undefined;
    if (next !== undefined) this.#assign(connection, next);
    else if (this.#isClosing || !connection.mayBeReused()) connection.close();
    else this.#idle.push(connection);
  }

  connectionSettling(connection: Connection): void {
    if (this.#isClosing || this.#queue.length > 0) connection.close();
    else this.#settling.add(connection);
  }

  connectionClosed(connection: Connection, unsent: UpstreamExchange | undefined): void {
    this.#connections.delete(connection);
    this.#settling.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    const next = unsent ?? this.#nextQueued();
    if (next !== undefined) this.#place(next);
    else this.#closeIfDone();
  }

  #place(exchange: UpstreamExchange): void {
    const idle = this.#takeIdle();
    if (idle === undefined && this.#connections.size >= this.#options.maxConnections) this.#closeOneSettling();
    if (idle !== undefined) this.#assign(idle, exchange);
    else if (this.#connections.size < this.#options.maxConnections) this.#open(exchange);
    else {
      exchange.queuedUntilMs = this.clock.after(this.#options.queueTimeoutMs);
      this.#queue.push(exchange);
    }
  }

  #closeOneSettling(): void {
    for (const connection of this.#settling) {
      connection.close();
      return;
    }
  }

  #open(exchange: UpstreamExchange): void {
    this.clock.start();
    const connection = new Connection(this);
    this.#connections.add(connection);
    connection.assign(exchange);
  }

  #takeIdle(): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.mayBeReused()) return connection;
      connection.close();
    }
  }

  /**
   * Sends the request after the poll phase of the event loop. Bytes or a FIN that arrived before the request have been
   * seen by then, so that they are never taken for its response.
   */
  #assign(connection: Connection, exchange: UpstreamExchange): void {
    connection.assign(exchange);
    this.#assigned.push(connection);
    if (this.#assigned.length === 1) setImmediate(this.#beginAssigned);
  }

  readonly #beginAssigned = (): void => {
    const assigned = this.#assigned;
    this.#assigned = [];
    for (const connection of assigned) connection.begin();
  };

  #nextQueued(): UpstreamExchange | undefined {
    for (;;) {
      const exchange = this.#queue.shift();
      if (exchange === undefined || !exchange.isOver) return exchange;
    }
  }

  readonly #onTick = (): void => {
    const { nowMs } = this.clock;
    for (const connection of this.#connections) connection.tick(nowMs);
    while (this.#queue[0] !== undefined && (this.#queue[0].isOver || this.#queue[0].queuedUntilMs <= nowMs)) {
      this.#queue.shift()?.fail(new ExchangeError('UPSTREAM_QUEUE_TIMEOUT', 'no connection became free in time'));
    }
  };

  #closeIfDone(): void {
    if (this.#connections.size > 0) return;
    this.clock.stop();
    if (this.#isClosing) this.#onClosed?.();
  }
}
