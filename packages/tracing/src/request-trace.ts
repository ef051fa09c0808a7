import { newSpanId, type Parent, type Sampler, traceparentOf } from './trace-context.ts';
import { errorOf, methodAttribute, serverAttributes, serverSpan, spanName, type Tracing, unixMs } from './tracing.ts';

/** What the spans say about the request. A field is set once its stage has run. */
type Traced = Readonly<{
  method: string;
  httpVersion: string;
  route: Readonly<{ path: string }> | undefined;
  client: Readonly<{ protocol: string }> | undefined;
}>;

/** What is known about a request once it is over. */
type Ended = Readonly<{ requestId: string; startedAt: number; durationMs: number; code: string | undefined }>;

type TracedAttempt = Readonly<{
  spanId: string;
  origin: string;
  startedAt: number;
  endedAt: number;
  status: number | undefined;
  code: string | undefined;
}>;

/**
 * Returns the id of the trace that starts with a request. The last 62 bits of a UUIDv7 are random, so it is as good as
 * a separate id. Slices cost less than `replaceAll`.
 */
export const traceIdOf = (requestId: string): string =>
  requestId.slice(0, 8) +
  requestId.slice(9, 13) +
  requestId.slice(14, 18) +
  requestId.slice(19, 23) +
  requestId.slice(24);

/** No span has this id, so some digits of the trace id are enough. */
const unsampled = (traceId: string): string => traceparentOf({ traceId, spanId: traceId.slice(16) }, false);

/** A forwarded request's place in its trace, and what its spans will contain. */
export class RequestTrace {
  traceId: string;
  isSampled: boolean;
  readonly #sampler: Sampler;
  readonly #request: Traced;
  /** The caller's span. It belongs to the trace only if the caller is trusted. */
  readonly #caller: Parent | undefined;
  #parentId: string | undefined;
  #spanId = '';
  #attemptId = '';
  #attempt: Pick<TracedAttempt, 'spanId' | 'origin' | 'startedAt'> | undefined;
  #attempts: TracedAttempt[] | undefined;

  /** @param caller The caller's span, as the request names it. */
  constructor(sampler: Sampler, requestId: string, request: Traced, caller: Parent | undefined) {
    this.#sampler = sampler;
    this.#request = request;
    this.#caller = caller;
    this.traceId = traceIdOf(requestId);
    this.isSampled = sampler(this.traceId);
  }

  /** Continues a trusted caller's trace, but not its sampling: callers must not decide how much is recorded. */
  trustCaller(): void {
    if (this.#caller === undefined) return;
    this.traceId = this.#caller.traceId;
    this.#parentId = this.#caller.spanId;
    this.isSampled = this.#sampler(this.traceId);
  }

  /** Returns the `traceparent` for the next attempt. */
  nextAttempt(): string {
    if (!this.isSampled) return unsampled(this.traceId);
    this.#attemptId = newSpanId();
    return traceparentOf({ traceId: this.traceId, spanId: this.#attemptId }, true);
  }

  /** Returns the `traceparent` for a request that another proxy sends. */
  traceparent(): string {
    if (!this.isSampled) return unsampled(this.traceId);
    this.#spanId = newSpanId();
    return traceparentOf({ traceId: this.traceId, spanId: this.#spanId }, true);
  }

  /** Starts the attempt that {@link nextAttempt} announced. */
  startAttempt(origin: string): void {
    if (this.isSampled) this.#attempt = { spanId: this.#attemptId, origin, startedAt: performance.now() };
  }

  /**
   * Ends the attempt. If the client leaves first, the end of the request ends it.
   *
   * @param status Undefined if there was no response.
   * @param code The error code. Undefined if the response arrived.
   */
  endAttempt(status: number | undefined, code?: string): void {
    if (this.#attempt === undefined) return;
    this.#attempts ??= [];
    this.#attempts.push({ ...this.#attempt, endedAt: performance.now(), status, code });
    this.#attempt = undefined;
  }

  /** Creates the spans of a sampled request that is over. */
  end(tracing: Tracing, record: Ended, status: number): void {
    const { traceId } = this;
    const spanId = this.#spanId || newSpanId();
    const { method, httpVersion, route, client } = this.#request;
    const { requestId, code } = record;
    this.endAttempt(status || undefined, code);
    tracing.add({
      ...serverSpan({ method, httpVersion, route: route?.path, scheme: client?.protocol, status, requestId, code }),
      traceId,
      spanId,
      parentId: this.#parentId,
      link: this.#parentId === undefined ? this.#caller : undefined,
      startMs: unixMs(record.startedAt),
      endMs: unixMs(record.startedAt + record.durationMs),
    });
    for (const [index, attempt] of (this.#attempts ?? []).entries()) {
      tracing.add({
        traceId,
        spanId: attempt.spanId,
        parentId: spanId,
        kind: 'client',
        name: spanName(method),
        startMs: unixMs(attempt.startedAt),
        endMs: unixMs(attempt.endedAt),
        attributes: {
          'http.request.method': methodAttribute(method),
          'http.response.status_code': attempt.status,
          'http.request.resend_count': index === 0 ? undefined : index,
          ...serverAttributes(attempt.origin),
        },
        errorType: errorOf(attempt.code, attempt.status, 400),
        isFailed: attempt.code !== undefined || (attempt.status ?? 0) >= 400,
      });
    }
  }
}
