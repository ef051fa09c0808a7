import type { SpanContext } from './trace-context.ts';

/** A span that is over. */
export type FinishedSpan = SpanContext &
  Readonly<{
    name: string;
    kind: 'server' | 'client';
    /** The id of the span that caused it. Undefined: the trace starts with it. */
    parentId: string | undefined;
    /** Unix milliseconds. */
    startMs: number;
    endMs: number;
    /** By the names of OpenTelemetry's semantic conventions. They hold no secret, no subject and no query. */
    attributes: Readonly<Record<string, string | number | undefined>>;
    /** `error.type`: what was wrong, also where the caller is to blame and the span has not failed. */
    errorType?: string | undefined;
    isFailed?: boolean;
    /** The span of a caller that is not trusted. */
    link?: SpanContext | undefined;
  }>;

/** Where spans go, and as whose. */
export type TracingOptions = Readonly<{
  /** `service.name`. */
  service: string;
  version?: string | undefined;
  /** The collector's base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT. Spans go to `/v1/traces` below it. */
  endpoint: string;
}>;
