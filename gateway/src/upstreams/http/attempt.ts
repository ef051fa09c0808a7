import type { ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import { AppError } from '../../errors.ts';
import { recordFailure, type Signed, type SignedOutbound, tokenStatusOf } from '../../exchange.ts';
import { discardBody } from '../../http/lingering-close.ts';
import { uploadRate } from '../../limits/min-rate.ts';
import type { EndConnection, OpenConnections, ResponseLifetime } from '../pool/open-connections.ts';
import type { Progress } from '../pool/retry.ts';
import type { Target } from '../pool/target.ts';
import { TargetUse } from '../pool/target-use.ts';
import { toUpstreamError } from '../pool/upstream-error.ts';
import { requestBody } from './request-body.ts';
import { readResponseHead } from './response-headers.ts';
import { breakOff, endAndClose, ResponseWriter } from './response-writer.ts';
import { type UpstreamEvents, UpstreamRequest } from './upstream-request.ts';

/** Hears of its attempts. Exactly one of `failed` and `done` is called. `responded` comes before `done`. */
export type AttemptOwner = {
  responded(target: Target): void;
  /** No part of a response has been sent to the client. */
  failed(error: AppError, progress: Progress, target: Target): void;
  /** The response was written. If `failure` is set, the client's connection was closed partway through it. */
  done(failure: AppError | undefined, target: Target): void;
};

export type AttemptOptions = Readonly<{
  open: OpenConnections;
  /** While true, each response closes its connection. */
  isDraining(): boolean;
}>;

const stopping = new AppError('unavailable', { detail: { reason: 'the gateway is shutting down' } });
const clientGone = new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });

// Per request. A service could otherwise send `103` forever.
const maxInformational = 16;

/** One attempt to send a request to one target, and to pass the response to the client. */
export class Attempt implements UpstreamEvents {
  readonly #options: AttemptOptions;
  readonly #owner: AttemptOwner;
  readonly #signed: Signed;
  /** Of this attempt alone. A retry has another one. */
  readonly #outbound: SignedOutbound;
  readonly #response: ServerResponse;
  readonly #target: Target;
  readonly #use: TargetUse;
  readonly #request: UpstreamRequest = new UpstreamRequest(this);
  #progress: Progress = 'unsent';
  #isSettled = false;
  #informational = 0;
  #startedAt = 0;
  #sentAt = 0;
  #bodyLength: number | undefined;
  /** A body that arrived whole: it goes out together with the head. */
  #wholeBody: Buffer | undefined;
  #hasBody = false;
  /** For a body that arrives in parts, or that the client reads slowly. */
  #writer: ResponseWriter | undefined;
  #upload: Transform | undefined;
  #leaveQueue: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  #clearStall: (() => void) | undefined;

  constructor(
    options: AttemptOptions,
    owner: AttemptOwner,
    signed: Signed,
    outbound: SignedOutbound,
    response: ServerResponse,
    target: Target,
  ) {
    this.#options = options;
    this.#owner = owner;
    this.#signed = signed;
    this.#outbound = outbound;
    this.#response = response;
    this.#target = target;
    this.#use = new TargetUse(target);
  }

  start(): void {
    const target = this.#target;
    if (this.#response.destroyed) {
      this.#fail(clientGone);
      return;
    }
    if (this.#outbound.body !== 'stream') this.#awaitResponse();
    else if (!this.#openUpload()) return;
    this.#response.on('close', this.#onClientClose);
    this.#startedAt = performance.now();
    if (target.isBusy()) {
      const { connectMs } = this.#signed.route.upstream.timeouts;
      this.#leaveQueue = target.queue(connectMs, () => this.#request.abort(this.#overloaded('connections')));
    }
    const stream = this.#upload;
    const { length } = this.#signed.body;
    this.#request.send(target.pool, this.#outbound, stream && { stream, length });
  }

  /** @returns False if the attempt failed, because too many streams are open. */
  #openUpload(): boolean {
    const { request, route } = this.#signed;
    if (!this.#use.takeStream()) {
      this.#fail(this.#overloaded('streams'));
      return false;
    }
    this.#signed.acceptBody();
    this.#upload = requestBody(request, { maxBytes: route.body.maxBytes, rate: uploadRate(route.upstream) });
    this.#watchRevocation('long');
    request.once('end', () => {
      this.#use.releaseStream();
      this.#awaitResponse();
    });
    return true;
  }

  // If the client disconnects, cancel the request to the service.
  readonly #onClientClose = (): void => {
    if (!this.#isSettled && !this.#response.writableFinished) this.#request.abort(clientGone);
  };

  onConnected(): void {
    this.#leaveQueue?.();
    this.#progress = 'sent';
    this.#sentAt = performance.now();
    this.#signed.record.waitedMs = this.#sentAt - this.#startedAt;
  }

  onFirstByte(): void {
    this.#progress = 'responded';
  }

  onHead(status: number, rawHeaders: readonly string[]): void {
    if (status < 200) {
      this.#countInformational();
      return;
    }
    const signed = this.#signed;
    const { record, request } = signed;
    const response = this.#response;
    this.#use.answered();
    this.#owner.responded(this.#target);
    record.upstreamMs = performance.now() - this.#sentAt;
    const { passing, lifetime, contentLength } = readResponseHead(status, rawHeaders, signed, this.#target.origin);
    if (lifetime === 'endless' && !this.#use.takeStream()) throw this.#overloaded('streams');
    passing.push('x-request-id', record.requestId);
    // The response started before the request was complete. The rest of the request is discarded, so the connection
    // cannot be reused.
    const isEarly = this.#outbound.body === 'stream' && !request.complete;
    if (isEarly || this.#options.isDraining()) passing.push('connection', 'close');
    response.writeHead(status, passing);
    this.#watchRevocation(lifetime);
    if (contentLength !== undefined && !isEarly) this.#bodyLength = Number(contentLength);
    process.nextTick(flushHead, this);
  }

  #countInformational(): void {
    this.#informational += 1;
    if (this.#informational <= maxInformational) return;
    const reason = 'too many informational responses';
    throw new AppError('upstream_invalid_response', { detail: { ...this.#upstream(), reason } });
  }

  /** Body bytes from the same packet as the head have arrived by now, so both go out in one packet. */
  flushHead(): void {
    if (!this.#hasBody && !this.#isSettled) this.#response.flushHeaders();
  }

  onData(chunk: Buffer): void {
    // The end follows at once, and the whole response is written then.
    if (!this.#hasBody && chunk.length === this.#bodyLength) {
      this.#hasBody = true;
      this.#wholeBody = chunk;
      return;
    }
    this.#hasBody = true;
    if (this.#bodyWriter().write(chunk, this.#readOn)) return;
    this.#request.pause();
    const response = this.#response;
    this.#clearStall = this.#target.stalled.add(() => response.destroy());
  }

  readonly #readOn = (): void => {
    this.#clearStall?.();
    this.#request.resume();
  };

  #bodyWriter(): ResponseWriter {
    this.#writer ??= new ResponseWriter(this.#response, this.#signed.route.upstream);
    return this.#writer;
  }

  onEnd(): void {
    const { request } = this.#signed;
    const response = this.#response;
    this.#settle();
    if (this.#outbound.body === 'stream' && !request.complete) {
      // A client may wait for the response headers before it sends the rest of its body.
      response.flushHeaders();
      discardBody(request, () => response.end());
    } else {
      response.end(this.#wholeBody);
      if (response.writableLength > 0 && !response.destroyed) this.#bodyWriter().watchEnd();
    }
    this.#owner.done(undefined, this.#target);
  }

  onError(error: Error): void {
    this.#fail(toUpstreamError(error, { ...this.#upstream(), isConnected: this.#progress !== 'unsent' }));
  }

  #fail(failure: AppError): void {
    if (this.#isSettled) return;
    const response = this.#response;
    this.#settle();
    this.#writer?.stop();
    if (!response.headersSent) {
      this.#owner.failed(failure, this.#progress, this.#target);
      return;
    }
    if (!response.writableEnded) {
      recordFailure(this.#signed.record, failure);
      breakOff(response);
    }
    this.#owner.done(failure, this.#target);
  }

  #overloaded(reason: 'connections' | 'streams'): AppError {
    return new AppError('upstream_overloaded', { detail: { ...this.#upstream(), reason } });
  }

  #upstream(): Readonly<{ upstream: string; target: string }> {
    return { upstream: this.#signed.route.upstream.name, target: this.#target.origin };
  }

  #awaitResponse(): void {
    if (!this.#isSettled && this.#progress !== 'responded') this.#use.awaitResponse();
  }

  /** Ends a long exchange when its token is revoked. Endless ones also end at `exp` and when their route changes. */
  #watchRevocation(lifetime: ResponseLifetime): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    if (lifetime === 'short') return;
    const signed = this.#signed;
    const admission = { route: signed.route, token: tokenStatusOf(signed.caller) };
    this.#unwatch = this.#options.open.add(lifetime, admission, this.#end);
    if (lifetime === 'endless') signed.detach();
  }

  readonly #end: EndConnection = (reason) => {
    if (reason === undefined) endAndClose(this.#response);
    this.#request.abort(reason ?? stopping);
  };

  #settle(): void {
    this.#isSettled = true;
    this.#use.end();
    this.#clearStall?.();
    this.#leaveQueue?.();
    this.#unwatch?.();
    // Detaches the client's body, which an error response may have to read and discard.
    if (this.#progress === 'unsent') this.#upload?.destroy();
  }
}

// One function for all attempts, so that no request makes a closure.
const flushHead = (attempt: Attempt): void => attempt.flushHead();
