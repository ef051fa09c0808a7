export { addQuerySpan, inClientSpan, inServerSpan, traceHeaders } from './active-trace.ts';
export { RequestTrace } from './request-trace.ts';
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
  methodAttribute,
  openTracing,
  type Tracing,
  unixMs,
} from './tracing.ts';
