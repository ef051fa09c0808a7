import type { Socket } from 'node:net';
import { HttpClientError } from './http-client-error.ts';
import type { SocketOpener, SocketUser, TlsIdentity } from './open-socket.ts';
import { type PooledRequest, unparsed } from './pooled-request.ts';
import { idleTimeMs } from './response-head.ts';
import { ResponseParser, type ResponseReceiver } from './response-parser.ts';
import type { Upload, UploadOwner } from './upload.ts';

/** All times are in milliseconds. */
export type ConnectionTimeouts = Readonly<{
  /** From the end of the request to the response head. Also applies while the service does not read. */
  headersTimeout: number;
  /** The time between two reads of a response body, while the body is not paused. */
  bodyTimeout: number;
  /** For an idle connection, unless the service names a time. With 0, each request gets a new connection. */
  keepAliveTimeout: number;
}>;

export interface ConnectionOwner {
  readonly opener: SocketOpener;
  /** `after` returns when a timeout that starts now expires. */
  readonly clock: Readonly<{ nowMs: number; realMs: number; after(ms: number): number }>;
  readonly timeouts: ConnectionTimeouts;
  /** Called when the connection can carry a request. */
  connectionReady(connection: Connection): void;
  /** Called when the connection will be ready after `settleMs`. It may be closed instead. */
  connectionSettling(connection: Connection): void;
  /** Called last. `unsent` needs another connection. */
  connectionClosed(connection: Connection, unsent: PooledRequest | undefined): void;
}

type ConnectionPhase = 'connecting' | 'idle' | 'assigned' | 'head' | 'body' | 'flushing' | 'settling' | 'closed';

// If the request is still unwritten after this many turns, the response is an early one.
const maxFlushTurns = 3;
// How long a connection is watched after HEAD or 304. A faulty service sends a body right away, which would be read as
// the next response.
const settleMs = 1_000;
const never = Number.POSITIVE_INFINITY;

/** Carries one request at a time. It is closed, never reused, if its last response ended ambiguously. */
export class Connection implements ResponseReceiver, SocketUser, UploadOwner {
  readonly #owner: ConnectionOwner;
  readonly #parser: ResponseParser;
  readonly #identity: TlsIdentity | undefined;
  readonly #socket: Socket;
  #phase: ConnectionPhase = 'connecting';
  #request: PooledRequest | undefined;
  #upload: Upload | undefined;
  #isPaused = false;
  /** Whether bytes of the current response have arrived. */
  #hasResponded = false;
  /** Whether reads share one buffer, so that the next read overwrites these bytes. */
  #isShared = false;
  #deadlineMs = never;
  /** A time on the clock's `realMs`. */
  #idleUntilMs = never;

  constructor(owner: ConnectionOwner) {
    this.#owner = owner;
    this.#parser = new ResponseParser(this);
    this.#identity = owner.opener.identity?.();
    this.#socket = owner.opener.open(this);
  }

  /** Whether the connection is idle, fresh enough, and opened with the current certificates. */
  mayBeReused(): boolean {
    return (
      this.#phase === 'idle' &&
      this.#idleUntilMs > this.#owner.clock.realMs &&
      this.#identity === this.#owner.opener.identity?.()
    );
  }

  /** Reserves the connection for a request. `begin` sends it. A new connection sends it without that call. */
  assign(request: PooledRequest): void {
    this.#request = request;
    request.connection = this;
    if (this.#phase === 'idle') this.#phase = 'assigned';
  }

  /** Sends the assigned request. Does nothing if there is none. */
  begin(): void {
    const request = this.#request;
    if (this.#phase !== 'assigned' || request === undefined) return;
    try {
      request.handler.onRequestStart(request, null);
      if (this.#request === request) this.#send(request);
    } catch (error) {
      this.abort(error);
    }
  }

  abort(reason: unknown): void {
    const request = this.#request;
    if (this.#phase === 'assigned') {
      // Nothing was sent, so the connection is still usable.
      this.#request = undefined;
      this.#becomeIdle();
    } else this.close();
    request?.fail(reason);
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#deadlineMs = this.#bodyDeadline();
    this.#socket.resume();
  }

  /** Closes the connection immediately. `unsent` needs another one. */
  close(unsent?: PooledRequest): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#request = undefined;
    this.#deadlineMs = never;
    this.#parser.stop();
    this.#upload?.stop();
    this.#owner.connectionClosed(this, unsent);
    this.#socket.destroy();
  }

  tick({ nowMs, realMs }: ConnectionOwner['clock']): void {
    if (this.#phase === 'idle' && realMs >= this.#idleUntilMs) this.close();
    if (nowMs < this.#deadlineMs) return;
    if (this.#phase === 'head') this.abort(new HttpClientError('UPSTREAM_HEAD_TIMEOUT', 'no response head in time'));
    else if (this.#phase === 'body')
      this.abort(new HttpClientError('UPSTREAM_BODY_TIMEOUT', 'no response data in time'));
    else if (this.#phase === 'settling') this.#becomeIdle();
  }

  socketConnected(): void {
    if (this.#phase !== 'connecting') return;
    this.#phase = 'assigned';
    this.#setIdleTime();
    this.begin();
  }

  readonly socketRead = (length: number, bytes: Uint8Array): boolean => {
    this.socketBytes(bytes as Buffer, length, true);
    return true;
  };

  socketBytes(bytes: Buffer, length: number, isShared: boolean): void {
    const request = this.#request;
    this.#isShared = isShared;
    if (this.#phase === 'body') this.#deadlineMs = this.#bodyDeadline();
    else if (this.#phase !== 'head') {
      // The service sent bytes without a request, so the next response could not be trusted.
      this.#closeUnused();
      return;
    }
    try {
      if (!this.#hasResponded) request?.handler.onResponseStarted?.();
      this.#hasResponded = true;
      this.#parser.read(bytes, length);
    } catch (error) {
      if (request === undefined || request.isOver) {
        this.close();
        throw error;
      }
      this.abort(error);
    }
  }

  receiveHead(status: number, fields: string[]): void {
    this.#phase = 'body';
    this.#deadlineMs = this.#bodyDeadline();
    const request = this.#request;
    if (request === undefined) return;
    request.rawHeaders = fields;
    request.handler.onResponseStart(request, status, unparsed);
    this.#pauseIfAsked(request);
  }

  receiveData(bytes: Buffer, start: number, end: number): void {
    let chunk: Buffer;
    if (this.#isShared) {
      chunk = Buffer.allocUnsafe(end - start);
      bytes.copy(chunk, 0, start, end);
    } else chunk = bytes.subarray(start, end);
    const request = this.#request;
    if (request === undefined) return;
    request.handler.onResponseData(request, chunk);
    this.#pauseIfAsked(request);
  }

  receiveEnd(trailers: string[]): void {
    const request = this.#request;
    this.#request = undefined;
    // While a request is still being sent, the next request would become part of its body.
    if (this.#upload !== undefined || !this.#parser.framing.mayReuse || !this.#setIdleTime()) this.close();
    else this.#awaitFlush(maxFlushTurns);
    request?.end(trailers);
  }

  socketEnded(isClean: boolean): void {
    if (this.#phase === 'assigned') this.#closeUnused();
    else if (this.#phase !== 'body' || !this.#parser.endOfConnection(isClean)) {
      this.abort(new HttpClientError('UPSTREAM_CLOSED', 'the service closed the connection'));
    }
  }

  socketFailed(error: Error): void {
    if (this.#phase === 'assigned') this.#closeUnused();
    else if (this.#phase !== 'closed') this.abort(error);
  }

  socketClosed(): void {
    if (this.#phase !== 'closed') this.socketEnded(false);
  }

  uploadBlocked(isBlocked: boolean): void {
    if (this.#phase === 'head') this.#deadlineMs = isBlocked ? this.#headDeadline() : never;
  }

  uploadEnded(): void {
    this.#upload = undefined;
    if (this.#phase === 'head') this.#deadlineMs = this.#headDeadline();
  }

  #pauseIfAsked(request: PooledRequest): void {
    if (!request.paused || this.#request !== request) return;
    this.#isPaused = true;
    this.#deadlineMs = never;
    this.#socket.pause();
  }

  #send(request: PooledRequest): void {
    this.#phase = 'head';
    this.#hasResponded = false;
    this.#parser.expect(request.options.method);
    this.#upload = request.write(this.#socket, this);
    this.#deadlineMs = this.#upload === undefined ? this.#headDeadline() : never;
    this.#upload?.start(request.head);
  }

  #headDeadline(): number {
    const { clock, timeouts } = this.#owner;
    return clock.after(this.#request?.options.headersTimeout ?? timeouts.headersTimeout);
  }

  #bodyDeadline(): number {
    const { clock, timeouts } = this.#owner;
    return clock.after(this.#request?.options.bodyTimeout ?? timeouts.bodyTimeout);
  }

  /** @returns False if the service closes idle connections too soon for another request. */
  #setIdleTime(): boolean {
    const idleMs = idleTimeMs(this.#owner.timeouts.keepAliveTimeout, this.#parser.framing.keepAlive);
    this.#idleUntilMs = this.#owner.clock.realMs + idleMs;
    return idleMs > 0;
  }

  /** Waits a few turns of the event loop, because TLS reports a write as complete with that delay. */
  #awaitFlush(turnsLeft: number): void {
    if (this.#phase === 'closed') return;
    if (this.#socket.writableLength > 0) {
      this.#phase = 'flushing';
      if (turnsLeft === 0) this.close();
      else setImmediate(() => this.#awaitFlush(turnsLeft - 1));
    } else if (this.#parser.framing.mayBeFollowed) this.#settle();
    else this.#becomeIdle();
  }

  #becomeIdle(): void {
    this.#phase = 'idle';
    this.#deadlineMs = never;
    if (this.#isPaused) this.#socket.resume();
    this.#isPaused = false;
    this.#owner.connectionReady(this);
  }

  #settle(): void {
    this.#phase = 'settling';
    this.#deadlineMs = this.#owner.clock.after(settleMs);
    this.#owner.connectionSettling(this);
  }

  /** Closes a connection on which nothing was sent of the assigned request. */
  #closeUnused(): void {
    this.close(this.#phase === 'assigned' ? this.#request : undefined);
  }
}
