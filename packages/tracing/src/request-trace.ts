import { newSpanId, type Parent, type Sampler, traceparentOf } from './trace-context.ts';
import { methodAttribute, type Tracing, unixMs } from './tracing.ts';

/** What the spans say about the request. A field is set once its stage has run. */
type Traced = Readonly<{
  method: string;
  httpVersion: string;
  route: Readonly<{ path: string }> | undefined;
  client: Readonly<{ protocol: string }> | undefined;
}>;

/** What is known about a request once it is over. */
type Ended = Readonly<{ requestId: string; startedAt: number; durationMs: number; code: string | undefined }>;

type Attempt = Readonly<{
  spanId: string;
  origin: string;
  startedAt: number;
  endedAt: number;
  status: number | undefined;
  code: string | undefined;
}>;

/** The last 62 bits of a UUIDv7 are random, so it is as good as a separate id. Slices cost less than `replaceAll`. */
const digitsOf = (uuid: string): string =>
  uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);

/** A forwarded request's place in its trace, and what its spans will contain. */
export class RequestTrace {
  traceId: string;
  isSampled: boolean;
  readonly #sampler: Sampler;
  readonly #request: Traced;
  /** The caller's span. It belongs to the trace only if the caller is trusted. */
  readonly #caller: Parent | undefined;
  #parentId: string | undefined;
  #attemptId = '';
  #attempts: Attempt[] | undefined;

  /** @param caller The caller's span, as the request names it. */
  constructor(sampler: Sampler, requestId: string, request: Traced, caller: Parent | undefined) {
    this.#sampler = sampler;
    this.#request = request;
    this.#caller = caller;
    this.traceId = digitsOf(requestId);
    this.isSampled = sampler(this.traceId);
  }

  /**
   * Continues a trusted caller's trace. Ignores the caller's sampling flag, because the caller would otherwise decide
   * how much is recorded here.
   */
  trustCaller(): void {
    if (this.#caller === undefined) return;
    this.traceId = this.#caller.traceId;
    this.#parentId = this.#caller.spanId;
    this.isSampled = this.#sampler(this.traceId);
  }

  /** Returns the `traceparent` for the next attempt. */
  nextAttempt(): string {
    // Without sampling, no span has this id, so some digits of the trace id are enough.
    this.#attemptId = this.isSampled ? newSpanId() : this.traceId.slice(16);
    return traceparentOf({ traceId: this.traceId, spanId: this.#attemptId }, this.isSampled);
  }

  /**
   * Records that an attempt to send the request is over.
   *
   * @param startedAt A time from `performance.now()`.
   * @param status Undefined if there was no response.
   * @param code The error code. Undefined if the response arrived.
   */
  attempted(origin: string, startedAt: number, status: number | undefined, code: string | undefined): void {
    if (!this.isSampled) return;
    const endedAt = performance.now();
    this.#attempts ??= [];
    this.#attempts.push({ spanId: this.#attemptId, origin, startedAt, endedAt, status, code });
  }

  /** Creates the spans of a sampled request that is over. */
  end(tracing: Tracing, record: Ended, status: number): void {
    const { traceId } = this;
    const spanId = newSpanId();
    const { method, httpVersion, route, client } = this.#request;
    const name = methodAttribute(method);
    tracing.add({
      traceId,
      spanId,
      parentId: this.#parentId,
      link: this.#parentId === undefined ? this.#caller : undefined,
      kind: 'server',
      name: route === undefined ? name : `${name} ${route.path}`,
      startMs: unixMs(record.startedAt),
      endMs: unixMs(record.startedAt + record.durationMs),
      attributes: {
        'http.request.method': name,
        'http.route': route?.path,
        'http.response.status_code': status === 0 ? undefined : status,
        'network.protocol.version': httpVersion,
        'url.scheme': client?.protocol,
        'countersign.request_id': record.requestId,
      },
      errorType: record.code,
      isFailed: status >= 500,
    });
    for (const [index, attempt] of (this.#attempts ?? []).entries()) {
      const { hostname, port, protocol } = new URL(attempt.origin);
      tracing.add({
        traceId,
        spanId: attempt.spanId,
        parentId: spanId,
        kind: 'client',
        name,
        startMs: unixMs(attempt.startedAt),
        endMs: unixMs(attempt.endedAt),
        attributes: {
          'http.request.method': name,
          'http.response.status_code': attempt.status,
          'http.request.resend_count': index === 0 ? undefined : index,
          'server.address': hostname,
          'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
        },
        errorType: attempt.code,
        isFailed: attempt.code !== undefined || (attempt.status ?? 0) >= 400,
      });
    }
  }
}
