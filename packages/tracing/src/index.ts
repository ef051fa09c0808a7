export { addQuerySpan, inClientSpan, inServerSpan, traceHeaders } from './active-trace.ts';
export {
  isSampledAt,
  newSpanId,
  type Parent,
  parseTraceparent,
  type SpanContext,
  traceparentOf,
} from './trace-context.ts';
export {
  type FinishedSpan,
  isPlainToOthers,
  methodAttribute,
  openTracing,
  type Tracing,
  type TracingOptions,
  unixMs,
} from './tracing.ts';
