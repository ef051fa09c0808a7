import { AsyncLocalStorage } from 'node:async_hooks';
import { type FinishedSpan, newSpanId, type SpanContext, traceparentOf } from './trace-context.ts';
import { errorOf, serverAttributes, type Tracing, unixMs } from './tracing.ts';

/** The span that a service is currently working in. */
type ActiveTrace = SpanContext & Readonly<{ tracing: Tracing; isSampled: boolean; isOver(): boolean }>;

const active = new AsyncLocalStorage<ActiveTrace>();

/**
 * Runs a request's work, so that its calls become children of the request's span.
 *
 * @param isOver Whether the request is over. A connection that it opened keeps its trace, and may be used long after.
 * @returns What `work` returns.
 */
export function inServerSpan<Result>(
  tracing: Tracing,
  { traceId, isSampled, spanId, isOver }: SpanContext & Readonly<{ isSampled: boolean; isOver(): boolean }>,
  work: () => Result,
): Result {
  return active.run({ tracing, traceId, spanId, isSampled, isOver }, work);
}

/** Returns the header that tells the called service which span called it. Empty outside a traced request. */
export function traceHeaders(): Readonly<Record<string, string>> {
  const trace = active.getStore();
  return trace === undefined ? {} : { traceparent: traceparentOf(trace, trace.isSampled) };
}

/** Returns the trace of the request that is being served, for a log line. */
export function traceFields(): Readonly<{ trace_id?: string }> {
  const trace = active.getStore();
  return trace === undefined || trace.isOver() ? {} : { trace_id: trace.traceId };
}

/** Runs a call to another service in its own span, and returns its response. */
export async function inClientSpan<Response extends Readonly<{ status: number }>>(
  method: string,
  origin: string,
  work: () => Promise<Response>,
): Promise<Response> {
  const trace = active.getStore();
  if (trace === undefined || !trace.isSampled) return work();
  const spanId = newSpanId();
  const startMs = unixMs(performance.now());
  const end = (status: number | undefined, errorType: string | undefined) =>
    addChild(trace, {
      name: method,
      spanId,
      startMs,
      attributes: {
        'http.request.method': method,
        'http.response.status_code': status,
        ...serverAttributes(origin),
      },
      errorType,
      isFailed: errorType !== undefined,
    });
  try {
    const response = await active.run({ ...trace, spanId }, work);
    end(response.status, errorOf(undefined, response.status, 400));
    return response;
  } catch (error) {
    end(undefined, (error as Error).name);
    throw error;
  }
}

/** Adds a span for a statement that has just ended. The span contains neither the statement's values nor its text. */
export function addQuerySpan(statement: string, durationMs: number, failure?: unknown): void {
  const trace = active.getStore();
  if (trace === undefined || !trace.isSampled) return;
  const { operation, table } = summaryOf(statement);
  const { code, name } = (failure ?? {}) as { code?: string; name?: string };
  addChild(trace, {
    name: table === undefined ? operation : `${operation} ${table}`,
    spanId: newSpanId(),
    startMs: unixMs(performance.now()) - durationMs,
    attributes: {
      'db.system.name': 'postgresql',
      'db.operation.name': operation,
      'db.collection.name': table,
      'db.response.status_code': code !== undefined && sqlState.test(code) ? code : undefined,
    },
    errorType: code ?? name,
    isFailed: failure !== undefined,
  });
}

function addChild(
  { tracing, traceId, spanId: parentId }: ActiveTrace,
  span: Omit<FinishedSpan, 'traceId' | 'kind' | 'parentId' | 'endMs'>,
): void {
  tracing.add({ ...span, traceId, parentId, kind: 'client', endMs: unixMs(performance.now()) });
}

// A code of Node.js, such as EPIPE, has no digit.
const sqlState = /^(?=.*\d)[0-9A-Z]{5}$/;

// `extract(epoch from expires_at)` names no table.
const tableGrammar = /(?<!\bextract\(\w+ )\b(?:from|into|update|join)\s+"?([a-z_][a-z0-9_]*)"?/i;

/** Returns a statement's first word, and the table that it names first. */
export function summaryOf(statement: string): Readonly<{ operation: string; table: string | undefined }> {
  const [operation = ''] = /[a-z]+/i.exec(statement) ?? [];
  return { operation: operation.toUpperCase(), table: tableGrammar.exec(statement)?.[1] };
}
