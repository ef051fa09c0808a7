import type { FinishedSpan, TracingOptions } from './trace-context.ts';

/** Sends the spans of sampled requests to a collector. */
export type Tracing = ReturnType<typeof openTracing>;

/**
 * Sends spans with OTLP over HTTP. Loads OpenTelemetry now, so that a process without tracing never loads it.
 *
 * @see createSpanSender
 */
export function openTracing(options: TracingOptions) {
  const sender = import('./span-sender.ts').then(({ createSpanSender }) => createSpanSender(options));
  return {
    /** Sends the span with the next batch. Never throws and never waits. Under load, spans are dropped. */
    add: (span: FinishedSpan) => void sender.then(({ send }) => send(span)),
    /** Sends the waiting spans, within 2 s. Never rejects. */
    close: async () => (await sender).close(),
  };
}

/** Converts a `performance.now()` time to Unix milliseconds. */
export const unixMs = (performanceMs: number): number => performance.timeOrigin + performanceMs;

const known = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

/** Returns `http.request.method`. A client could create any number of values, so others are `_OTHER`. */
export const methodAttribute = (method: string): string => (known.has(method) ? method : '_OTHER');

/** Returns `error.type`: our code, or else the status if it is an error of this kind of span. */
export const errorOf = (
  code: string | undefined,
  status: number | undefined,
  errorsFrom: 400 | 500,
): string | undefined => code ?? ((status ?? 0) >= errorsFrom ? String(status) : undefined);

/** Names the called server. @param origin An origin with http or https. */
export function serverAttributes(origin: string): Readonly<Record<'server.address' | 'server.port', string | number>> {
  const { hostname, port, protocol } = new URL(origin);
  return { 'server.address': hostname, 'server.port': Number(port) || (protocol === 'https:' ? 443 : 80) };
}

type Served = Readonly<{
  method: string;
  route: string | undefined;
  /** 0 without a response. */
  status: number;
  scheme: string | undefined;
  httpVersion?: string;
  requestId: string;
  code: string | undefined;
}>;

/** Describes a request that this process has served. */
export const serverSpan = ({ method, route, status, scheme, httpVersion, requestId, code }: Served) => ({
  kind: 'server' as const,
  name: spanName(method, route),
  attributes: {
    'http.request.method': methodAttribute(method),
    'http.route': route,
    'http.response.status_code': status === 0 ? undefined : status,
    'network.protocol.version': httpVersion,
    'url.scheme': scheme,
    'countersign.request_id': requestId,
  },
  errorType: errorOf(code, status, 500),
  isFailed: status >= 500,
});

export const spanName = (method: string, route?: string): string => {
  const name = known.has(method) ? method : 'HTTP';
  return route === undefined ? name : `${name} ${route}`;
};
