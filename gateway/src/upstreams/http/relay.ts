import type { ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import type { Dispatcher } from 'undici';
import { AppError, errorTable } from '../../errors.ts';
import { type Signed, tokenStatusOf } from '../../exchange.ts';
import { lingerOver } from '../../http/lingering.ts';
import { uploadRate } from '../../limits/min-rate.ts';
import type { EndConnection, OpenConnections } from '../pool/open-connections.ts';
import type { Target } from '../pool/target.ts';
import { toUpstreamError } from '../pool/upstream-error.ts';
import { refusedIdentity } from './refused-identity.ts';
import { requestBody } from './request-body.ts';
import { answerHeaders, dropLength } from './response-headers.ts';
import { type AnswerLife, lifeOfAnswer } from './response-lifetime.ts';
import { AnswerWriter } from './response-writer.ts';
import type { Progress } from './retry-rule.ts';

/** Who is told what becomes of an attempt. `failed` or `done` is called once, `answered` before `done`. */
export type Attempt = Readonly<{
  signed: Signed;
  response: ServerResponse;
  target: Target;
  open: OpenConnections;
  isDraining(): boolean;
  answered(): void;
  /** Nothing of an answer has reached the client. */
  failed(error: AppError, progress: Progress): void;
  /** The client has the answer, or its connection was broken off with half of one, for this reason. */
  done(failure?: AppError): void;
}>;

const stopping = new AppError('unavailable', { detail: { reason: 'the gateway stops' } });
const clientGone = new AppError('invalid_request', { detail: { reason: 'the client went away' } });

// Of one request. A service that says nothing but `103` would otherwise begin to answer for ever.
const mostInformational = 16;

const freeEveryMs = 250;

/** One attempt: undici calls it back as the answer comes. */
export class Relay implements Dispatcher.DispatchHandler {
  readonly #attempt: Attempt;
  readonly #writer: AnswerWriter;
  #controller: Dispatcher.DispatchController | undefined;
  #progress: Progress = 'unsent';
  #isOver = false;
  #informational = 0;
  #waiting: NodeJS.Timeout | undefined;
  #freeing: NodeJS.Timeout | undefined;
  #streamed: Transform | undefined;
  #release: (() => void) | undefined;
  #noMoreExpected: (() => void) | undefined;
  #streamOver: (() => void) | undefined;
  #stallOver: (() => void) | undefined;
  #hasBody = false;
  #startedAt = 0;
  #sentAt = 0;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    this.#writer = new AnswerWriter(attempt.response, attempt.signed.route.upstream);
  }

  send(): void {
    const { signed, response, target } = this.#attempt;
    const { outbound, route, request } = signed;
    const { timeouts } = route.upstream;
    target.pending += 1;
    target.connections += 1;
    if (response.destroyed) {
      this.#fail(clientGone);
      return;
    }
    const headers: string[] = [];
    for (const [name, value] of outbound.headers) headers.push(name, value);
    let { body } = outbound as { body?: Dispatcher.DispatchOptions['body'] };
    if (outbound.body === 'stream') {
      this.#streamOver = target.takeStream();
      if (this.#streamOver === undefined) {
        this.#fail(this.#overloaded('streams'));
        return;
      }
      if (signed.body.length !== undefined) headers.push('content-length', String(signed.body.length));
      signed.acceptBody();
      this.#streamed = requestBody(request, { maxBytes: route.body.maxBytes, rate: uploadRate(route.upstream) });
      body = this.#streamed;
      this.#keepWatch('long');
      request.once('end', this.#onBodyEnd);
    } else {
      this.#expectAnswer();
    }
    response.once('close', this.#onClientClose);
    this.#startedAt = performance.now();
    if (target.isBusy()) {
      this.#waiting = setTimeout(() => this.#fail(this.#overloaded('connections')), timeouts.connectMs);
      target.stalled.endOldest();
      // The connection that this frees may go to another request that waits.
      this.#freeing = setInterval(target.stalled.endOldest, freeEveryMs);
    }
    const { method, target: path } = outbound;
    target.pool.dispatch({ method, path, headers, body: body ?? null }, this);
  }

  readonly #onBodyEnd = (): void => {
    this.#streamOver?.();
    this.#expectAnswer();
  };

  readonly #expectAnswer = (): void => {
    if (!this.#isOver && this.#progress !== 'answered') this.#noMoreExpected = this.#attempt.target.expectAnswer();
  };

  // An abort travels inward: nobody is left to answer to.
  readonly #onClientClose = (): void => {
    if (!this.#attempt.response.writableFinished) this.#stop(clientGone);
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // It waited for a connection longer than anybody waited for it. Thrown, this leaves the connection to the next; aborted, it would not.
    if (this.#isOver) throw clientGone;
    clearTimeout(this.#waiting);
    clearInterval(this.#freeing);
    this.#controller = controller;
    this.#progress = 'unanswered';
    this.#sentAt = performance.now();
    this.#attempt.signed.record.waitedMs = this.#sentAt - this.#startedAt;
  }

  onResponseStarted(): void {
    this.#progress = 'answered';
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const { signed, response, target, isDraining } = this.#attempt;
    const { record, route, request } = signed;
    if (status < 200) {
      this.#informational += 1;
      if (this.#informational <= mostInformational) return;
      throw new AppError('upstream_invalid_response', {
        detail: { upstream: route.upstream.name, target: target.origin, reason: 'informational answers without end' },
      });
    }
    this.#noMoreExpected?.();
    this.#attempt.answered();
    record.upstreamMs = performance.now() - this.#sentAt;
    const raw = (controller.rawHeaders ?? []) as readonly (string | Buffer)[];
    const headers = answerHeaders(raw, signed);
    const refusal = refusedIdentity(status, headers, { upstream: route.upstream.name, target: target.origin });
    if (refusal !== undefined) throw refusal;
    const { passing, coding } = headers;
    // undici undoes `chunked` alone; behind any other coding, which nobody asked for, the bytes are not the body (RFC 9112 section 6.1).
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      throw new AppError('upstream_invalid_response', {
        detail: { upstream: route.upstream.name, target: target.origin, reason: 'transfer-encoding' },
      });
    }
    const life = lifeOfAnswer(passing);
    if (life === 'endless') {
      this.#streamOver?.();
      this.#streamOver = target.takeStream();
      if (this.#streamOver === undefined) throw this.#overloaded('streams');
    }
    if (status === 204) dropLength(passing);
    passing.push('x-request-id', record.requestId);
    // Answered before all of the request was there: where the next one would begin is then not for us to wait for.
    if (isDraining() || !(request.complete || signed.outbound.body !== 'stream')) passing.push('connection', 'close');
    response.writeHead(status, passing);
    this.#keepWatch(life);
    process.nextTick(this.#flushHead);
  }

  /** By now what came in one packet with the head has been looked at, and goes out in one packet with it. */
  readonly #flushHead = (): void => {
    if (!this.#hasBody && !this.#isOver) this.#attempt.response.flushHeaders();
  };

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#hasBody = true;
    if (this.#writer.write(chunk, () => this.#readOn(controller))) return;
    controller.pause();
    const { response, target } = this.#attempt;
    this.#stallOver = target.stalled.add(() => response.destroy());
  }

  #readOn(controller: Dispatcher.DispatchController): void {
    this.#stallOver?.();
    controller.resume();
  }

  onResponseEnd(): void {
    const { response, signed, done } = this.#attempt;
    this.#settle();
    if (signed.outbound.body === 'stream' && !signed.request.complete) {
      // Whoever waits for the answer before it sends the rest would otherwise wait for one without a body.
      response.flushHeaders();
      lingerOver(signed.request, () => response.end());
    } else this.#writer.end();
    done();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const { signed, target } = this.#attempt;
    const isConnected = this.#progress !== 'unsent';
    this.#fail(toUpstreamError(error, { upstream: signed.route.upstream.name, target: target.origin, isConnected }));
  }

  #fail(failure: AppError): void {
    if (this.#isOver) return;
    const { signed, response, failed, done } = this.#attempt;
    this.#settle();
    this.#writer.stop();
    if (!response.headersSent) {
      failed(failure, this.#progress);
      return;
    }
    if (!response.writableEnded) {
      signed.record.code = failure.code;
      signed.record.fault = errorTable[failure.code].fault;
      breakOff(response);
    }
    done(failure);
  }

  #overloaded(reason: 'connections' | 'streams'): AppError {
    const { signed, target } = this.#attempt;
    return new AppError('upstream_overloaded', {
      detail: { upstream: signed.route.upstream.name, target: target.origin, reason },
    });
  }

  /** Nothing that may go on for long outlives what let it in. */
  #keepWatch(life: AnswerLife): void {
    this.#release?.();
    this.#release = undefined;
    const { signed, open } = this.#attempt;
    const { route, caller } = signed;
    const token = tokenStatusOf(caller);
    if (life === 'endless') {
      this.#release = open.addEndless({ route, token }, this.#end);
      signed.detach();
    } else if (life === 'long' && token !== undefined) {
      this.#release = open.addLong(token, this.#end);
    }
  }

  readonly #end: EndConnection = (reason) => {
    const { response } = this.#attempt;
    if (reason === undefined) {
      // All events so far are whole, and the next connection goes to somebody who stays.
      const { socket } = response;
      response.end(() => socket?.destroySoon());
    }
    this.#stop(reason ?? stopping);
  };

  /** Also where it still waits for a connection, which might take longer than anybody waits for it. */
  #stop(reason: AppError): void {
    if (this.#controller === undefined) this.#fail(reason);
    else this.#controller.abort(reason);
  }

  #settle(): void {
    this.#isOver = true;
    this.#attempt.target.pending -= 1;
    this.#attempt.target.connections -= 1;
    this.#streamOver?.();
    this.#stallOver?.();
    this.#attempt.response.off('close', this.#onClientClose);
    clearTimeout(this.#waiting);
    clearInterval(this.#freeing);
    this.#noMoreExpected?.();
    this.#release?.();
    // Nobody reads it, and whoever refuses the request wants the rest of it to himself.
    if (this.#progress === 'unsent') this.#streamed?.destroy();
  }
}

/** Where an answer's end is that of its connection, as for clients of HTTP/1.0, only a reset says that it is not whole (RFC 9112 section 8). */
function breakOff(response: ServerResponse): void {
  const { req, socket } = response;
  if (req.httpVersion === '1.0' && socket !== null && !('encrypted' in socket)) socket.resetAndDestroy();
  response.destroy();
}
