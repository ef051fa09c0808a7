import type { ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import type { ExchangeProgress, ResponseHandler, UpstreamExchange } from '@countersign/http1-client';
import { AppError } from '../../errors.ts';
import { recordFailure, type Signed, type SignedOutbound, tokenStatusOf } from '../../exchange.ts';
import { breakOff, endAndClose, endWith } from '../../http/client-response.ts';
import { discardBody } from '../../http/lingering-close.ts';
import { uploadRate } from '../../limits/min-rate.ts';
import type { EndConnection, OpenConnections, ResponseLifetime } from '../pool/open-connections.ts';
import { type Target, TargetCounts } from '../pool/target.ts';
import { toUpstreamError } from '../pool/upstream-error.ts';
import { requestBody } from './request-body.ts';
import { filterResponseHead } from './response-headers.ts';
import { ResponseWriter } from './response-writer.ts';

/** Hears of its attempts. Exactly one of `failed` and `done` is called. `responded` comes before `done`. */
export type AttemptOwner = {
  responded(target: Target): void;
  /** No part of a response has been sent to the client. */
  failed(error: AppError, progress: ExchangeProgress, target: Target): void;
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

/** One attempt to send a request to one target, and to pass the response to the client. */
export class Attempt implements ResponseHandler {
  readonly #options: AttemptOptions;
  readonly #owner: AttemptOwner;
  readonly #signed: Signed;
  /** Of this attempt alone. A retry has another one. */
  readonly #outbound: SignedOutbound;
  readonly #response: ServerResponse;
  readonly #target: Target;
  readonly #counts: TargetCounts;
  /** Undefined until the request is passed to the pool. */
  #upstreamExchange: UpstreamExchange | undefined;
  #isSettled = false;
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
    this.#counts = new TargetCounts(target);
  }

  start(): void {
    const target = this.#target;
    if (this.#response.destroyed) {
      this.#fail(clientGone);
      return;
    }
    if (this.#outbound.body !== 'stream') this.#awaitResponse();
    else if (!this.#openUpload()) return;
    this.#watchClient();
    this.#startedAt = performance.now();
    if (target.isBusy()) this.#leaveQueue = target.freeConnections();
    const { method, target: path, headers, signedFrom, body } = this.#outbound;
    const isStream = body === 'stream';
    this.#upstreamExchange = target.pool.send(
      {
        method,
        path,
        headers,
        trustedFrom: signedFrom,
        body: (isStream ? this.#upload : body) ?? null,
        bodyLength: isStream ? this.#signed.body.length : undefined,
      },
      this,
    );
  }

  /** @returns False if the attempt failed, because too many streams are open. */
  #openUpload(): boolean {
    const { request, route } = this.#signed;
    if (!this.#counts.takeStream()) {
      this.#fail(this.#overloaded());
      return false;
    }
    this.#signed.acceptBody();
    this.#upload = requestBody(request, { maxBytes: route.body.maxBytes, rate: uploadRate(route.upstream) });
    this.#watchRevocation('long');
    request.once('end', () => {
      this.#counts.releaseStream();
      this.#awaitResponse();
    });
    return true;
  }

  #watchClient(): void {
    this.#response.on('close', () => this.responseClosed());
  }

  /** If the client disconnects, cancels the request to the service. */
  responseClosed(): void {
    if (!this.#isSettled && !this.#response.writableFinished) this.#stop(clientGone);
  }

  #progress(): ExchangeProgress {
    return this.#upstreamExchange?.progress ?? 'unsent';
  }

  /** Ends the attempt, even if it is still waiting for a connection. */
  #stop(reason: AppError): void {
    if (this.#upstreamExchange === undefined) this.#fail(reason);
    else this.#upstreamExchange.abort(reason);
  }

  onSent(): void {
    this.#leaveQueue?.();
    this.#sentAt = performance.now();
    this.#signed.record.waitedMs = this.#sentAt - this.#startedAt;
  }

  onHead(status: number, rawHeaders: string[]): void {
    const signed = this.#signed;
    const { record, request } = signed;
    const response = this.#response;
    this.#counts.answered();
    this.#owner.responded(this.#target);
    record.upstreamMs = performance.now() - this.#sentAt;
    const { passing, lifetime, contentLength } = filterResponseHead(status, rawHeaders, signed, this.#target.origin);
    if (lifetime === 'endless') {
      if (!this.#counts.takeStream()) throw this.#overloaded();
      this.#target.succeeded();
    }
    passing.push('x-request-id', record.requestId);
    // The response started before the request was complete. The rest of the request is discarded, so the connection
    // cannot be reused.
    const isEarly = this.#outbound.body === 'stream' && !request.complete;
    if (isEarly || this.#options.isDraining()) passing.push('connection', 'close');
    response.writeHead(status, passing);
    this.#watchRevocation(lifetime);
    if (contentLength !== undefined && !isEarly) this.#bodyLength = Number(contentLength);
  }

  onPart(): void {
    if (this.#hasBody || !this.#response.headersSent) return;
    // Later, because with TLS a body may follow in the next record of the same packet.
    process.nextTick(() => {
      if (!this.#hasBody && !this.#isSettled) this.#response.flushHeaders();
    });
  }

  onData(chunk: Buffer): boolean {
    // The end follows at once, and the whole response is written then.
    if (!this.#hasBody && chunk.length === this.#bodyLength) {
      this.#hasBody = true;
      this.#wholeBody = chunk;
      return true;
    }
    this.#hasBody = true;
    if (this.#bodyWriter().write(chunk)) return true;
    const response = this.#response;
    this.#clearStall = this.#target.stalled.add(() => response.destroy());
    return false;
  }

  #bodyWriter(): ResponseWriter {
    this.#writer ??= new ResponseWriter(this.#response, this.#signed.route.upstream, () => {
      this.#clearStall?.();
      this.#upstreamExchange?.resume();
    });
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
      endWith(response, this.#wholeBody);
      if (response.writableLength > 0 && !response.destroyed) this.#bodyWriter().watchEnd();
    }
    this.#owner.done(undefined, this.#target);
  }

  onError(error: unknown): void {
    this.#fail(toUpstreamError(error, { ...this.#upstream(), isConnected: this.#progress() !== 'unsent' }));
  }

  #fail(failure: AppError): void {
    if (this.#isSettled) return;
    const response = this.#response;
    this.#settle();
    this.#writer?.stop();
    if (!response.headersSent) {
      this.#owner.failed(failure, this.#progress(), this.#target);
      return;
    }
    if (!response.writableEnded) {
      recordFailure(this.#signed.record, failure);
      breakOff(response);
    }
    this.#owner.done(failure, this.#target);
  }

  #overloaded(): AppError {
    return new AppError('upstream_overloaded', { detail: { ...this.#upstream(), reason: 'streams' } });
  }

  #upstream(): Readonly<{ upstream: string; target: string }> {
    return { upstream: this.#signed.route.upstream.name, target: this.#target.origin };
  }

  #awaitResponse(): void {
    if (!this.#isSettled && this.#progress() !== 'responded') this.#counts.awaitResponse();
  }

  /** Ends a long exchange when its token is revoked. Endless ones also end at `exp` and when their route changes. */
  #watchRevocation(lifetime: ResponseLifetime): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    if (lifetime === 'short') return;
    const signed = this.#signed;
    const admission = { route: signed.route, token: tokenStatusOf(signed.caller) };
    const end: EndConnection = (reason) => {
      if (reason === undefined) endAndClose(this.#response);
      this.#stop(reason ?? stopping);
    };
    this.#unwatch = this.#options.open.add(lifetime, admission, end);
    if (lifetime === 'endless') signed.detach();
  }

  #settle(): void {
    this.#isSettled = true;
    this.#counts.end();
    this.#clearStall?.();
    this.#leaveQueue?.();
    this.#unwatch?.();
    // Detaches the client's body, which an error response may have to read and discard.
    if (this.#progress() === 'unsent') this.#upload?.destroy();
  }
}
