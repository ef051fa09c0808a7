import type { FinishedSpan, TracingOptions } from './span.ts';

/** Sends the spans of sampled requests to a collector. */
export type Tracing = Readonly<{
  /** Sends the span with the next batch. Never throws and never waits: under load, spans are dropped. */
  add(span: FinishedSpan): void;
  /** Sends what waits. */
  close(): Promise<void>;
}>;

/**
 * Sends spans by OTLP over HTTP. OpenTelemetry is loaded now, and not while tracing is off.
 *
 * @see createSpanSender
 */
export function openTracing(options: TracingOptions): Tracing {
  const sender = import('./span-sender.ts').then(({ createSpanSender }) => createSpanSender(options));
  return {
    add: (span) => void sender.then(({ send }) => send(span)),
    close: async () => (await sender).close(),
  };
}

/** Unix milliseconds of a moment that `performance.now()` gave. */
export const unixMs = (performanceMs: number): number => performance.timeOrigin + performanceMs;

const known = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

/** `http.request.method`: a client could otherwise make any number of values. */
export const methodAttribute = (method: string): string => (known.has(method) ? method : '_OTHER');
