import type { ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import type { Dispatcher } from 'undici';
import { AppError } from '../../errors.ts';
import { recordFailure, type Signed, tokenStatusOf } from '../../exchange.ts';
import { discardBody } from '../../http/lingering-close.ts';
import { uploadRate } from '../../limits/min-rate.ts';
import type { EndConnection, OpenConnections, ResponseLifetime } from '../pool/open-connections.ts';
import type { Progress } from '../pool/retry.ts';
import type { Target } from '../pool/target.ts';
import { toUpstreamError } from '../pool/upstream-error.ts';
import { requestBody } from './request-body.ts';
import { lifetimeOf, readResponseHead } from './response-headers.ts';
import { ResponseWriter } from './response-writer.ts';

/** One attempt and its callbacks. Exactly one of `failed` and `done` is called. `responded` comes before `done`. */
export type RelayOptions = Readonly<{
  signed: Signed;
  response: ServerResponse;
  target: Target;
  open: OpenConnections;
  isDraining(): boolean;
  responded(): void;
  /** No part of a response has been sent to the client. */
  failed(error: AppError, progress: Progress): void;
  /** The response was written. If `failure` is set, the client's connection was closed partway through it. */
  done(failure?: AppError): void;
}>;

const stopping = new AppError('unavailable', { detail: { reason: 'the gateway is shutting down' } });
const clientGone = new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });

// Per request. A service could otherwise send `103` forever.
const maxInformational = 16;
const evictEveryMs = 250;

/** Runs one attempt. undici calls these methods as the response arrives. */
export class Relay implements Dispatcher.DispatchHandler {
  readonly #options: RelayOptions;
  readonly #writer: ResponseWriter;
  #controller: Dispatcher.DispatchController | undefined;
  #progress: Progress = 'unsent';
  #isSettled = false;
  #informational = 0;
  #queueTimer: NodeJS.Timeout | undefined;
  #evictTimer: NodeJS.Timeout | undefined;
  #upload: Transform | undefined;
  #unwatch: (() => void) | undefined;
  #responseReceived: (() => void) | undefined;
  #releaseStream: (() => void) | undefined;
  #clearStall: (() => void) | undefined;
  #hasBody = false;
  #startedAt = 0;
  #sentAt = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#writer = new ResponseWriter(options.response, options.signed.route.upstream);
  }

  send(): void {
    const { signed, response, target } = this.#options;
    const { outbound, route, request } = signed;
    target.pending += 1;
    target.connections += 1;
    if (response.destroyed) {
      this.#fail(clientGone);
      return;
    }
    const headers = outbound.headers.flat();
    const { method, target: path, body } = outbound;
    if (body === 'stream') {
      this.#releaseStream = target.takeStream();
      if (this.#releaseStream === undefined) {
        this.#fail(this.#overloaded('streams'));
        return;
      }
      if (signed.body.length !== undefined) headers.push('content-length', String(signed.body.length));
      signed.acceptBody();
      this.#upload = requestBody(request, { maxBytes: route.body.maxBytes, rate: uploadRate(route.upstream) });
      this.#watchRevocation('long');
      request.once('end', this.#onBodyEnd);
    } else {
      this.#expectResponse();
    }
    response.once('close', this.#onClientClose);
    this.#startedAt = performance.now();
    if (target.isBusy()) {
      this.#queueTimer = setTimeout(
        () => this.#fail(this.#overloaded('connections')),
        route.upstream.timeouts.connectMs,
      );
      target.stalled.endOldest();
      // Repeated, because another queued request may get the connection that this frees up.
      this.#evictTimer = setInterval(target.stalled.endOldest, evictEveryMs);
    }
    target.pool.dispatch({ method, path, headers, body: (body === 'stream' ? this.#upload : body) ?? null }, this);
  }

  readonly #onBodyEnd = (): void => {
    this.#releaseStream?.();
    this.#expectResponse();
  };

  #expectResponse(): void {
    if (this.#isSettled || this.#progress === 'responded') return;
    this.#responseReceived = this.#options.target.expectResponse();
  }

  // If the client disconnects, cancel the request to the service.
  readonly #onClientClose = (): void => {
    if (!this.#options.response.writableFinished) this.#stop(clientGone);
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // The request timed out while queued. Throwing keeps the socket usable for the next request; aborting would not.
    if (this.#isSettled) throw clientGone;
    clearTimeout(this.#queueTimer);
    clearInterval(this.#evictTimer);
    this.#controller = controller;
    this.#progress = 'sent';
    this.#sentAt = performance.now();
    this.#options.signed.record.waitedMs = this.#sentAt - this.#startedAt;
  }

  onResponseStarted(): void {
    this.#progress = 'responded';
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const { signed, response, target, isDraining } = this.#options;
    const { record, request } = signed;
    if (status < 200) {
      this.#informational += 1;
      if (this.#informational <= maxInformational) return;
      const reason = 'too many informational responses';
      throw new AppError('upstream_invalid_response', { detail: { ...this.#upstream(), reason } });
    }
    this.#responseReceived?.();
    this.#options.responded();
    record.upstreamMs = performance.now() - this.#sentAt;
    const raw = (controller.rawHeaders ?? []) as readonly (string | Buffer)[];
    const passing = readResponseHead(status, raw, signed, target.origin);
    const lifetime = lifetimeOf(passing);
    if (lifetime === 'endless') {
      this.#releaseStream?.();
      this.#releaseStream = target.takeStream();
      if (this.#releaseStream === undefined) throw this.#overloaded('streams');
    }
    passing.push('x-request-id', record.requestId);
    // The response started before the request was complete. The rest of the request is discarded, so the connection
    // cannot be reused.
    if (isDraining() || !(request.complete || signed.outbound.body !== 'stream')) passing.push('connection', 'close');
    response.writeHead(status, passing);
    this.#watchRevocation(lifetime);
    process.nextTick(this.#flushHead);
  }

  /** Body bytes from the same packet as the head have been written by now, so both go out in one packet. */
  readonly #flushHead = (): void => {
    if (!this.#hasBody && !this.#isSettled) this.#options.response.flushHeaders();
  };

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#hasBody = true;
    const readOn = () => {
      this.#clearStall?.();
      controller.resume();
    };
    if (this.#writer.write(chunk, readOn)) return;
    controller.pause();
    const { response, target } = this.#options;
    this.#clearStall = target.stalled.add(() => response.destroy());
  }

  onResponseEnd(): void {
    const { response, signed, done } = this.#options;
    this.#settle();
    if (signed.outbound.body === 'stream' && !signed.request.complete) {
      // A client may wait for the response headers before it sends the rest of its body.
      response.flushHeaders();
      discardBody(signed.request, () => response.end());
    } else this.#writer.end();
    done();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(toUpstreamError(error, { ...this.#upstream(), isConnected: this.#progress !== 'unsent' }));
  }

  #fail(failure: AppError): void {
    if (this.#isSettled) return;
    const { signed, response, failed, done } = this.#options;
    this.#settle();
    this.#writer.stop();
    if (!response.headersSent) {
      failed(failure, this.#progress);
      return;
    }
    if (!response.writableEnded) {
      recordFailure(signed.record, failure);
      this.#writer.breakOff();
    }
    done(failure);
  }

  #overloaded(reason: 'connections' | 'streams'): AppError {
    return new AppError('upstream_overloaded', { detail: { ...this.#upstream(), reason } });
  }

  #upstream(): Readonly<{ upstream: string; target: string }> {
    const { signed, target } = this.#options;
    return { upstream: signed.route.upstream.name, target: target.origin };
  }

  /** Ends a long exchange when its token is revoked. Endless ones also end at `exp` and when their route changes. */
  #watchRevocation(lifetime: ResponseLifetime): void {
    this.#unwatch?.();
    const { signed, open } = this.#options;
    this.#unwatch = open.add(lifetime, { route: signed.route, token: tokenStatusOf(signed.caller) }, this.#end);
    if (lifetime === 'endless') signed.detach();
  }

  readonly #end: EndConnection = (reason) => {
    if (reason === undefined) this.#writer.endAndClose();
    this.#stop(reason ?? stopping);
  };

  /** Stops the attempt, even if it is still waiting for a connection. */
  #stop(reason: AppError): void {
    if (this.#controller === undefined) this.#fail(reason);
    else this.#controller.abort(reason);
  }

  #settle(): void {
    this.#isSettled = true;
    this.#options.target.pending -= 1;
    this.#options.target.connections -= 1;
    this.#releaseStream?.();
    this.#clearStall?.();
    this.#options.response.off('close', this.#onClientClose);
    clearTimeout(this.#queueTimer);
    clearInterval(this.#evictTimer);
    this.#responseReceived?.();
    this.#unwatch?.();
    // Detaches the client's body, which an error response may have to read and discard.
    if (this.#progress === 'unsent') this.#upload?.destroy();
  }
}
