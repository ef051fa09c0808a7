import type { SpanContext } from './trace-context.ts';

/** A finished span. */
export type FinishedSpan = SpanContext &
  Readonly<{
    name: string;
    kind: 'server' | 'client';
    /** The id of the span that caused this one. Undefined if the trace starts with this span. */
    parentId: string | undefined;
    /** Unix milliseconds. */
    startMs: number;
    endMs: number;
    /** Named after OpenTelemetry's semantic conventions. They contain no secrets, subjects or queries. */
    attributes: Readonly<Record<string, string | number | undefined>>;
    /** `error.type`: what went wrong. Also set if the caller is at fault and the span has not failed. */
    errorType?: string | undefined;
    isFailed?: boolean;
    /** The span of an untrusted caller. */
    link?: SpanContext | undefined;
  }>;

/** Where to send spans, and which service sends them. */
export type TracingOptions = Readonly<{
  /** The value of `service.name`. */
  service: string;
  version?: string | undefined;
  /** The collector's base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT. Spans are sent to `/v1/traces` below it. */
  endpoint: string;
  /** Logs a warning when sending starts to fail. */
  logger: Readonly<{ warn(fields: object, message: string): void }>;
}>;
