export { addQuerySpan, inClientSpan, inServerSpan, traceFields, traceHeaders } from './active-trace.ts';
export { RequestTrace, traceIdOf } from './request-trace.ts';
export type { FinishedSpan } from './span.ts';
export {
  createSampler,
  newSpanId,
  type Parent,
  parseTraceparent,
  type SpanContext,
  traceparentOf,
} from './trace-context.ts';
export {
  errorOf,
  methodAttribute,
  openTracing,
  spanName,
  type Tracing,
  unixMs,
} from './tracing.ts';
