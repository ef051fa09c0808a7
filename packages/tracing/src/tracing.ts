import type { FinishedSpan, TracingOptions } from './span.ts';

/** Sends the spans of sampled requests to a collector. */
export type Tracing = Readonly<{
  /** Sends the span with the next batch. Never throws and never waits. Under load, spans are dropped. */
  add(span: FinishedSpan): void;
  /** Sends the waiting spans. */
  close(): Promise<void>;
}>;

/**
 * Sends spans with OTLP over HTTP. Loads OpenTelemetry now, so that a process without tracing never loads it.
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

/** Converts a `performance.now()` time to Unix milliseconds. */
export const unixMs = (performanceMs: number): number => performance.timeOrigin + performanceMs;

const known = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

/**
 * Returns the value of `http.request.method`. Limits the values, because a client could otherwise create any number.
 */
export const methodAttribute = (method: string): string => (known.has(method) ? method : '_OTHER');
