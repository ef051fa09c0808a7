import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { AppError, type Code, errorTable } from '../errors.ts';
import { type Signed, standingOf } from '../exchange.ts';
import { answerHeaders } from './answer-headers.ts';
import { type AnswerLife, lifeOfAnswer } from './answer-life.ts';
import type { EndConnection, OpenConnections } from './open-connections.ts';
import type { Target, UpstreamPools } from './pools.ts';
import { requestBody } from './request-body.ts';
import { toUpstreamError } from './upstream-error.ts';

export type ForwardHttpOptions = Readonly<{
  pools: UpstreamPools;
  open: OpenConnections;
  /** While it is true, each answer ends its connection. */
  isDraining(): boolean;
}>;

/**
 * Carries a signed request to its service and the answer back, both as streams. Takes nothing but a `Signed`, and adds
 * nothing to it. Redirects and errors of the service are the client's to see.
 *
 * The stage throws AppError `upstream_unreachable`, `upstream_timeout`, `upstream_broken`, `upstream_invalid_response`, `identity_refused`
 * while nothing was answered. After that the client's connection is broken off: half an answer must not look whole.
 */
export function createForwardHttp(
  options: ForwardHttpOptions,
): (signed: Signed, response: ServerResponse) => Promise<void> {
  return (signed, response) => {
    const target = options.pools.next(signed.route.upstream);
    return new Promise((resolve, reject) => {
      const relay = new Relay(signed, response, target, options, resolve, reject);
      const { outbound } = signed;
      const headers: string[] = [];
      for (const [name, value] of outbound.headers) headers.push(name, value);
      if (outbound.body === 'stream' && signed.body.length !== undefined) {
        headers.push('content-length', String(signed.body.length));
      }
      target.pool.dispatch(
        { method: outbound.method, path: outbound.target, headers, body: relay.body ?? null },
        relay,
      );
    });
  };
}

const clientGone = new AppError('invalid_request', { detail: { reason: 'the client went away' } });
const stopping = new AppError('unavailable', { detail: { reason: 'the gateway stops' } });

/** One attempt: undici calls it back as the answer comes. */
class Relay implements Dispatcher.DispatchHandler {
  readonly body: Dispatcher.DispatchOptions['body'] | undefined;
  readonly #signed: Signed;
  readonly #response: ServerResponse;
  readonly #target: Target;
  readonly #options: ForwardHttpOptions;
  readonly #done: () => void;
  readonly #failed: (error: AppError) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #slowReader: NodeJS.Timeout | undefined;
  #release: (() => void) | undefined;
  #endedBy: AppError | undefined;
  #sentAt = performance.now();

  constructor(
    signed: Signed,
    response: ServerResponse,
    target: Target,
    options: ForwardHttpOptions,
    done: () => void,
    failed: (error: AppError) => void,
  ) {
    this.#signed = signed;
    this.#response = response;
    this.#target = target;
    this.#options = options;
    this.#done = done;
    this.#failed = failed;
    const { body } = signed.outbound;
    const { route, request } = signed;
    if (body === 'stream') {
      signed.acceptBody();
      this.body = requestBody(request, { maxBytes: route.body.maxBytes, idleMs: route.upstream.timeouts.idleMs });
      this.#keepWatch('long');
    } else {
      this.body = body;
    }
    response.once('close', this.#onClientClose);
  }

  // An abort travels inward: nobody is left to answer to.
  readonly #onClientClose = (): void => {
    if (!this.#response.writableFinished) this.#controller?.abort(clientGone);
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sentAt = performance.now();
    // It may have waited for a connection longer than the client did for it, or than its token was good.
    if (this.#response.destroyed) controller.abort(clientGone);
    else if (this.#endedBy !== undefined) controller.abort(this.#endedBy);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    const { record, route } = this.#signed;
    record.upstreamMs = performance.now() - this.#sentAt;
    const raw = (controller.rawHeaders ?? []) as readonly (string | Buffer)[];
    const { passing, identityRefused } = answerHeaders(raw, this.#signed);
    if (status === 401 && identityRefused !== undefined) {
      // Never the client's fault: a clock or a key in here is wrong.
      throw new AppError('identity_refused', {
        detail: { upstream: route.upstream.name, target: this.#target.origin, reason: identityRefused.slice(0, 64) },
      });
    }
    passing.push('x-request-id', record.requestId);
    if (this.#options.isDraining()) passing.push('connection', 'close');
    this.#response.writeHead(status, passing);
    this.#keepWatch(lifeOfAnswer(passing));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return;
    controller.pause();
    // The service's own time-out stands still while we do not read; a client that never reads would hold both for ever.
    this.#slowReader = setTimeout(() => this.#response.destroy(), this.#signed.route.upstream.timeouts.idleMs);
    this.#response.once('drain', () => {
      clearTimeout(this.#slowReader);
      controller.resume();
    });
  }

  onResponseEnd(): void {
    this.#settle();
    this.#response.end();
    this.#done();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#settle();
    const failure = toUpstreamError(error, this.#signed.route.upstream.name, this.#target.origin);
    if (!this.#response.headersSent) {
      this.#failed(failure);
      return;
    }
    if (!this.#response.writableEnded) {
      this.#signed.record.code = failure.code;
      this.#signed.record.fault = errorTable[failure.code as Code].fault;
      this.#response.destroy();
    }
    this.#done();
  }

  /** Nothing that may go on for long outlives what let it in. */
  #keepWatch(life: AnswerLife): void {
    this.#release?.();
    this.#release = undefined;
    const { route, caller } = this.#signed;
    const token = standingOf(caller);
    const { open } = this.#options;
    if (life === 'endless') {
      this.#release = open.addEndless({ route, token }, this.#end);
      this.#signed.detach();
      this.#response.flushHeaders();
    } else if (life === 'long' && token !== undefined) {
      this.#release = open.addLong(token, this.#end);
    }
  }

  readonly #end: EndConnection = (reason) => {
    if (reason === undefined) {
      // All events so far are whole, and the next connection goes to somebody who stays.
      const { socket } = this.#response;
      this.#response.end(() => socket?.destroySoon());
    }
    this.#endedBy = reason ?? stopping;
    this.#controller?.abort(this.#endedBy);
  };

  #settle(): void {
    this.#response.off('close', this.#onClientClose);
    clearTimeout(this.#slowReader);
    this.#release?.();
  }
}
