import { setTimeout as delay } from 'node:timers/promises';
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { FinishedSpan, SpanContext, TracingOptions } from './trace-context.ts';

/** How long a span waits for other spans. */
const sendAfterMs = 1_000;
/** A process that stops does not wait longer for its collector. */
const closeWithinMs = 2_000;

/** Sends spans in batches. OpenTelemetry's exporter reads further OTEL_EXPORTER_OTLP_* variables itself. */
export function createSpanSender({ service, version, endpoint, logger }: TracingOptions) {
  const collector = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` });
  let isFailing = false;
  const exporter: SpanExporter = {
    export(spans, done) {
      collector.export(spans, (result) => {
        const { error } = result;
        if (error !== undefined && !isFailing)
          logger.warn({ reason: error.message }, 'cannot send spans to the collector');
        isFailing = error !== undefined;
        done(result);
      });
    },
    shutdown: () => collector.shutdown(),
  };
  const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: sendAfterMs });
  const resource = defaultResource().merge(
    resourceFromAttributes({ 'service.name': service, ...(version && { 'service.version': version }) }),
  );
  const instrumentationScope = { name: '@countersign/tracing' };
  return {
    send(span: FinishedSpan): void {
      processor.onEnd({ ...readable(span), resource, instrumentationScope });
    },
    /** Sends the waiting spans. Without the collector they are lost. */
    async close(): Promise<void> {
      await Promise.race([processor.shutdown().catch(() => {}), delay(closeWithinMs, undefined, { ref: false })]);
    },
  };
}

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT };

function readable(span: FinishedSpan): Omit<ReadableSpan, 'resource' | 'instrumentationScope'> {
  const { name, kind, parentId, startMs, endMs, attributes, errorType, isFailed, link } = span;
  const given = Object.entries({ ...attributes, 'error.type': errorType }).filter(([, value]) => value !== undefined);
  const contextOf = ({ traceId, spanId }: SpanContext, isRemote = false) => {
    return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote };
  };
  const own = contextOf(span);
  return {
    name,
    kind: kinds[kind],
    spanContext: () => own,
    ...(parentId !== undefined && {
      parentSpanContext: contextOf({ traceId: span.traceId, spanId: parentId }, kind === 'server'),
    }),
    startTime: timeOf(startMs),
    endTime: timeOf(endMs),
    duration: timeOf(endMs - startMs),
    status: { code: isFailed === true ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: Object.fromEntries(given),
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
