import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace';
import type { FinishedSpan, TracingOptions } from './span.ts';
import type { SpanContext } from './trace-context.ts';

/** How long a span waits for other spans. */
const sendAfterMs = 1_000;

/**
 * Collects spans and sends them in batches. OpenTelemetry's own exporter reads the other OTEL_EXPORTER_OTLP_*
 * variables, such as headers.
 */
export function createSpanSender({ service, version, endpoint }: TracingOptions) {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` });
  const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: sendAfterMs });
  const resource = defaultResource().merge(
    resourceFromAttributes({ 'service.name': service, ...(version && { 'service.version': version }) }),
  );
  const instrumentationScope = { name: '@countersign/tracing' };
  return {
    send(span: FinishedSpan): void {
      processor.onEnd({ ...readable(span), resource, instrumentationScope });
    },
    /** Sends the waiting spans. */
    close: (): Promise<void> => processor.shutdown(),
  };
}

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT };

function readable(span: FinishedSpan): Omit<ReadableSpan, 'resource' | 'instrumentationScope'> {
  const { name, kind, parentId, startMs, endMs, attributes, errorType, isFailed, link } = span;
  const contextOf = ({ traceId, spanId }: SpanContext, isRemote = false) => {
    return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote };
  };
  const own = contextOf(span);
  return {
    name,
    kind: kinds[kind],
    spanContext: () => own,
    ...(parentId !== undefined && { parentSpanContext: contextOf({ traceId: span.traceId, spanId: parentId }, true) }),
    startTime: timeOf(startMs),
    endTime: timeOf(endMs),
    duration: timeOf(endMs - startMs),
    status: { code: isFailed === true ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: { ...attributes, 'error.type': errorType },
    links: link === undefined ? [] : [{ context: contextOf(link, true) }],
    events: [],
    ended: true,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Converts milliseconds to seconds and nanoseconds. */
const timeOf = (ms: number): [number, number] => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];
