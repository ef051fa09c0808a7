import type { ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { type DispatchController, type DispatchHandler, latin1Fields } from '@countersign/http1-client';
import { discardBody, type Health } from '@countersign/process-kit';
import { AppError, type Code } from '../../errors.ts';
import { type Signed, type SignedOutbound, tokenStatusOf } from '../../pipeline/exchange.ts';
import { recordFailure } from '../../pipeline/request-record.ts';
import type { LongLivedConnections, ResponseLifetime } from '../pool/long-lived-connections.ts';
import type { OpenUpstream, OpenUpstreams, Permit } from '../pool/open-upstream.ts';
import { type AttemptProgress, isTooEarly } from '../pool/retry.ts';
import { type Target, TargetCounts } from '../pool/target.ts';
import { blamesUpstream, isOutage, toUpstreamError } from '../pool/upstream-error.ts';
import { breakOff, endAndClose, endWith, filterHeaders, ResponseWriter } from './client-response.ts';
import { requestBody } from './request-body.ts';

const stopping = new AppError('unavailable', { detail: { reason: 'the gateway is shutting down' } });
const clientGone = new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });

export type ForwardHttpOptions = Readonly<{
  upstreams: OpenUpstreams;
  open: LongLivedConnections;
  /** While it is draining, each response closes its connection. */
  health: Pick<Health, 'draining'>;
  /** Counts a streamed body against the limit of its client's address. Throws if the limit is reached. */
  claimUpload(signed: Signed): void;
  /** Signs a request again, after checking its token again. @see createSign */
  signAgain(signed: Signed, refused?: SignedOutbound): SignedOutbound;
}>;

/**
 * Streams a signed request to its service, and streams the response back. Takes only a `Signed`, and adds nothing to
 * it. The service's redirects and errors go to the client.
 *
 * Before a response has started, the stage throws AppError `upstream_unreachable`, `upstream_untrusted`,
 * `upstream_timeout`, `upstream_broken`, `upstream_invalid_response`, `upstream_circuit_open`, `upstream_overloaded`,
 * `identity_refused` or `identity_unavailable`. It also throws the errors of `claimUpload` and `signAgain`. After the
 * response has started, it closes the client's connection, so that a truncated response never looks complete.
 */
export const createForwardHttp =
  (options: ForwardHttpOptions) =>
  async (signed: Signed, response: ServerResponse): Promise<void> => {
    const { record, route } = signed;
    if (signed.outbound.body === 'stream') options.claimUpload(signed);
    const upstream = options.upstreams.of(route.upstream);
    const permit = upstream.admit();
    upstream.budget.deposit();
    let { outbound } = signed;
    let target: Target | undefined;
    let responseMs = upstream.upstream.timeouts.responseMs;
    // Sent again with another key, or a second later. These are no retries: the service has not handled the request.
    let isRepeated = false;
    let waits = 0;
    try {
      for (let attempts = 1; ; attempts += 1) {
        target = upstream.choose(target);
        record.attempts = attempts;
        record.target = target.origin;
        const attempt = new HttpAttempt({ options, signed, outbound, response, target, permit, responseMs });
        const error = await attempt.relay();
        if (error === undefined) return;
        const isRefused: boolean = !isRepeated && upstream.agreement?.shouldRepeat(error, outbound.headers) === true;
        const isEarly: boolean = waits < mostWaits && isTooEarly(outbound, error) && attempt.leftMs() > leastLeftMs;
        const retries = attempts - 1 - Number(isRepeated) - waits;
        if (isEarly) await untilNextSecond();
        else if (!isRefused && !attempt.takeRetry(upstream, error, retries)) throw error;
        // The refusal of a repeated request may not come from the service, which may still receive that attempt.
        const keepsNonce = isRefused || (isRepeated && attempt.progress === 'unsent');
        isRepeated ||= isRefused;
        waits += Number(isEarly);
        record.retriedAfter = error.code;
        responseMs = Math.max(1, attempt.leftMs());
        outbound = options.signAgain(signed, keepsNonce ? outbound : undefined);
      }
    } finally {
      permit.settle('neutral');
    }
  };

/** A service that starts together with the gateway has its keys, and an empty replay memory, within this many seconds. */
const mostWaits = 2;
/** For the wait, and half a second for the response: a refusal says more than a timeout. */
const leastLeftMs = 1500;
// A timer may end a millisecond early.
const untilNextSecond = () => setTimeout(1002 - (Date.now() % 1000));

/** `outbound` belongs only to this attempt. A retry has another one. */
type Sending = Readonly<{
  options: ForwardHttpOptions;
  signed: Signed;
  outbound: SignedOutbound;
  response: ServerResponse;
  target: Target;
  permit: Permit;
  /** What earlier attempts left of the response timeout: a client waits no longer because of a retry. */
  responseMs: number;
}>;

class HttpAttempt implements DispatchHandler {
  readonly #sending: Sending;
  readonly #counts: TargetCounts;
  progress: AttemptProgress = 'unsent';
  #resolve: (failure?: AppError) => void = () => {};
  /** Undefined while the request waits for a connection. */
  #controller: DispatchController | undefined;
  #isOver = false;
  #startedAt = 0;
  #sentAt = 0;
  #status: number | undefined;
  #bodyLength: number | undefined;
  /** A body that has arrived completely is sent together with the head. */
  #wholeBody: Buffer | undefined;
  #hasBody = false;
  /** For a body that arrives in parts, or that the client reads slowly. */
  #writer: ResponseWriter | undefined;
  #upload: Transform | undefined;
  #leaveQueue: (() => void) | undefined;
  #unwatch: (() => void) | undefined;

  constructor(sending: Sending) {
    this.#sending = sending;
    this.#counts = new TargetCounts(sending.target, 'requests');
  }

  /** @returns The failure, if no part of a response was sent to the client. */
  relay(): Promise<AppError | undefined> {
    const { response, outbound } = this.#sending;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (response.destroyed) this.#fail(clientGone);
      else if (outbound.body !== 'stream') {
        this.#counts.requestComplete();
        this.#send(outbound.headers as string[], outbound.body ?? null);
      } else if (this.#counts.uploadBegan()) this.#sendStream();
      else this.#fail(this.#overloaded('streams'));
    });
  }

  /** What is left of the response timeout. The wait for a connection does not count. */
  leftMs(): number {
    return this.#sending.responseMs - (this.progress === 'unsent' ? 0 : performance.now() - this.#sentAt);
  }

  /** Counts the failure. Returns whether to send the request again, and then takes a retry from the budget. */
  takeRetry(upstream: OpenUpstream, failure: AppError, retries: number): boolean {
    const { target, outbound, response, permit } = this.#sending;
    const { code } = failure;
    const { progress } = this;
    target.failed(failure, progress);
    const isOpen = retries < upstream.upstream.retry.attempts && this.leftMs() > 0 && !response.destroyed;
    if (isOpen && upstream.takeRetry(outbound, { code, progress })) return true;
    if (progress !== 'responded' && isOutage(code)) permit.settle('failure');
    return false;
  }

  #sendStream(): void {
    const { signed, outbound } = this.#sending;
    const { stream, body } = signed;
    signed.acceptBody();
    this.#upload = requestBody(signed);
    this.#watchRevocation('long');
    stream.once('end', () => this.#counts.requestComplete());
    const length = body.length === undefined ? [] : ['content-length', String(body.length)];
    this.#send([...outbound.headers, ...length], this.#upload);
  }

  #send(headers: string[], body: Buffer | Transform | null): void {
    const { signed, response, target, outbound, responseMs: headersTimeout } = this.#sending;
    const { method, requestTarget: path, trustedFrom } = outbound;
    // If the client disconnects, cancels the request to the service.
    response.on('close', () => {
      if (!this.#isOver && !response.writableFinished) this.#stop(clientGone);
    });
    this.#startedAt = performance.now();
    signed.record.trace?.startAttempt(target.origin);
    if (target.isBusy()) this.#leaveQueue = target.freeConnections(() => this.#stop(this.#overloaded('connections')));
    target.pool.dispatch({ method, path, headers, trustedFrom, body, headersTimeout }, this);
  }

  onRequestStart(controller: DispatchController): void {
    if (this.#isOver) {
      controller.abort(clientGone);
      return;
    }
    this.#controller = controller;
    this.progress = 'sent';
    this.#leaveQueue?.();
    this.#sentAt = performance.now();
    this.#sending.signed.record.waitedMs = this.#sentAt - this.#startedAt;
  }

  onResponseStarted(): void {
    this.progress = 'responded';
  }

  onResponseStart({ rawHeaders }: DispatchController, status: number): void {
    if (status < 200) return;
    const { options, signed, outbound, response, target, permit } = this.#sending;
    const { record, stream } = signed;
    this.#status = status;
    if (target.health.failures > 0) target.health.responded();
    permit.settle('success');
    record.upstreamMs = performance.now() - this.#sentAt;
    const head = filterHeaders(status, latin1Fields(rawHeaders), signed, target.origin);
    const { passing, lifetime, contentLength, transferEncoding, refusal } = head;
    if (refusal !== undefined) throw refusal;
    // The client decodes only `chunked`. With any other coding, the bytes are not the body (RFC 9112 section 6.1).
    if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
      throw new AppError('upstream_invalid_response', { detail: { ...this.#where(), reason: 'transfer-encoding' } });
    }
    if (!this.#counts.responseBegan(lifetime)) throw this.#overloaded('streams');
    record.isStream = lifetime === 'endless';
    if (record.isStream) target.succeeded();
    passing.push('x-request-id', record.requestId);
    // The response started before the request was complete. The rest of the request is discarded, so the connection
    // cannot be reused.
    const isEarly = outbound.body === 'stream' && !stream.complete;
    if (isEarly || options.health.draining) passing.push('connection', 'close');
    response.writeHead(status, passing);
    this.#watchRevocation(lifetime);
    if (contentLength !== undefined && !isEarly) this.#bodyLength = Number(contentLength);
    // Runs after everything that has arrived was read, so a body that came with the head goes out with it.
    process.nextTick(HttpAttempt.#flushHead, this);
  }

  static #flushHead(this: void, attempt: HttpAttempt): void {
    if (!attempt.#hasBody && !attempt.#isOver) attempt.#sending.response.flushHeaders();
  }

  onResponseData(controller: DispatchController, chunk: Buffer): void {
    const isWhole = !this.#hasBody && chunk.length === this.#bodyLength;
    this.#hasBody = true;
    // The end follows immediately, and writes the whole response.
    if (isWhole) this.#wholeBody = chunk;
    else this.#bodyWriter(controller).write(chunk);
  }

  #bodyWriter(controller: DispatchController): ResponseWriter {
    const { response, signed, target } = this.#sending;
    this.#writer ??= new ResponseWriter(response, signed.route.upstream, target.stalled, controller);
    return this.#writer;
  }

  onResponseEnd(controller: DispatchController): void {
    const { response, signed, outbound, target } = this.#sending;
    this.#finish();
    if (outbound.body === 'stream' && !signed.stream.complete) {
      // A client may wait for the response headers before it sends the rest of its body.
      response.flushHeaders();
      discardBody(signed.stream, () => response.end());
    } else {
      endWith(response, this.#wholeBody);
      if (response.writableLength > 0 && !response.destroyed) this.#bodyWriter(controller).watchEnd();
    }
    target.succeeded();
    this.#resolve();
  }

  onResponseError(_controller: DispatchController | null, error: unknown): void {
    this.#fail(toUpstreamError(error, { ...this.#where(), isConnected: this.progress !== 'unsent' }));
  }

  /** Ends the attempt immediately. A request that still waits for a connection is dropped when its turn comes. */
  #stop(reason: AppError): void {
    if (this.#controller === undefined) this.#fail(reason);
    else this.#controller.abort(reason);
  }

  #fail(failure: AppError): void {
    if (this.#isOver) return;
    const { response, signed, target } = this.#sending;
    this.#finish(failure.code);
    this.#writer?.stop();
    if (!response.headersSent) {
      this.#resolve(failure);
      return;
    }
    if (!response.writableEnded) {
      recordFailure(signed.record, failure);
      breakOff(response);
    }
    if (blamesUpstream(failure.code)) target.failed(failure, 'responded');
    else target.succeeded();
    this.#resolve();
  }

  #finish(code?: Code): void {
    this.#isOver = true;
    this.#sending.signed.record.trace?.endAttempt(this.#status, code);
    this.#counts.end();
    this.#leaveQueue?.();
    this.#unwatch?.();
    this.#writer?.releaseService();
    // Detaches the client's body, which an error response may have to read and discard.
    if (this.progress === 'unsent') this.#upload?.destroy();
  }

  #overloaded(reason: 'streams' | 'connections'): AppError {
    return new AppError('upstream_overloaded', { detail: { ...this.#where(), reason } });
  }

  #where() {
    return { upstream: this.#sending.signed.route.upstream.name, target: this.#sending.target.origin };
  }

  /** Ends a long exchange when its token is revoked. Endless ones also end at `exp` and when their route changes. */
  #watchRevocation(lifetime: ResponseLifetime): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    if (lifetime === 'short') return;
    const { route, caller } = this.#sending.signed;
    this.#unwatch = this.#sending.options.open.add(lifetime, { route, token: tokenStatusOf(caller) }, (reason) => {
      if (reason === undefined) endAndClose(this.#sending.response);
      this.#stop(reason ?? stopping);
    });
    if (lifetime === 'endless') this.#sending.signed.detach();
  }
}
