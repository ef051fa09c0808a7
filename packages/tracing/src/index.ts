export { addQuerySpan, inClientSpan, inServerSpan, traceFields, traceHeaders } from './active-trace.ts';
export { RequestTrace, traceIdOf } from './request-trace.ts';
export {
  createSampler,
  type FinishedSpan,
  newSpanId,
  type Parent,
  parseTraceparent,
  type SpanContext,
  traceparentOf,
} from './trace-context.ts';
export { openTracing, serverSpan, type Tracing, unixMs } from './tracing.ts';
