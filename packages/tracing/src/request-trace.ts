import { isSampledAt, newSpanId, type Parent, traceparentOf } from './trace-context.ts';
import { methodAttribute, type Tracing, unixMs } from './tracing.ts';

/** The request of a trace, as far as its stages got. */
type Traced = Readonly<{
  method: string;
  httpVersion: string;
  route: Readonly<{ path: string }> | undefined;
  client: Readonly<{ protocol: string }> | undefined;
}>;

/** What is known of a request once it is over. */
type Ended = Readonly<{ requestId: string; startedAt: number; durationMs: number; code: string | undefined }>;

type Attempt = Readonly<{
  spanId: string;
  origin: string;
  startedAt: number;
  endedAt: number;
  status: number | undefined;
  code: string | undefined;
}>;

/** A forwarded request's place in its trace, and what its spans will say. */
export class RequestTrace {
  traceId: string;
  isSampled: boolean;
  readonly #ratio: number;
  readonly #request: Traced;
  /** The caller's span, which belongs to the trace only if the caller is trusted. */
  readonly #caller: Parent | undefined;
  #parentId: string | undefined;
  #attemptId = '';
  #attempts: Attempt[] | undefined;

  /**
   * @param ratio The share of traces that is recorded.
   * @param caller What the request says of its caller's span.
   */
  constructor(ratio: number, requestId: string, request: Traced, caller: Parent | undefined) {
    this.#ratio = ratio;
    this.#request = request;
    this.#caller = caller;
    // A UUIDv7 has 62 random bits at its end: as good as an id of its own.
    this.traceId = requestId.replaceAll('-', '');
    this.isSampled = isSampledAt(ratio, this.traceId);
  }

  /**
   * Continues the trace of a trusted caller. Its flag does not count: the caller would otherwise decide how much is
   * recorded here.
   */
  trustCaller(): void {
    if (this.#caller === undefined) return;
    this.traceId = this.#caller.traceId;
    this.#parentId = this.#caller.spanId;
    this.isSampled = isSampledAt(this.#ratio, this.traceId);
  }

  /** The `traceparent` of the next attempt. */
  nextAttempt(): string {
    // Without sampling no span has this id, so digits of the trace are enough.
    this.#attemptId = this.isSampled ? newSpanId() : this.traceId.slice(16);
    return traceparentOf({ traceId: this.traceId, spanId: this.#attemptId }, this.isSampled);
  }

  /**
   * An attempt to send the request is over.
   *
   * @param startedAt Of `performance.now()`.
   * @param status Undefined without a response.
   * @param code The error code. Undefined: the response arrived.
   */
  attempted(origin: string, startedAt: number, status: number | undefined, code: string | undefined): void {
    if (!this.isSampled) return;
    const endedAt = performance.now();
    this.#attempts ??= [];
    this.#attempts.push({ spanId: this.#attemptId, origin, startedAt, endedAt, status, code });
  }

  /** Makes the spans of a sampled request, which is over. */
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
