import { addToLog, type RequestLocals, requestIdOf, routeOf } from '@countersign/process-kit';
import { inServerSpan, newSpanId, parseTraceparent, serverSpan, type Tracing, unixMs } from '@countersign/tracing';
import type { RequestHandler } from 'express';

/** Creates a span for each sampled request. Mount this after the identity check, which trusts the header. */
export const traceRequests =
  (tracing: Tracing): RequestHandler =>
  (req, res, next) => {
    const parent = parseTraceparent(req.get('traceparent'));
    if (parent === undefined) {
      next();
      return;
    }
    const { traceId, spanId: parentId, isSampled } = parent;
    const spanId = newSpanId();
    const startMs = unixMs(performance.now());
    addToLog(res, { trace_id: traceId });
    if (isSampled) res.once('close', () => tracing.add({ ...served(), traceId, spanId, parentId, startMs }));
    inServerSpan(tracing, { traceId, spanId, isSampled, isOver: () => res.closed }, next);

    function served() {
      const { method, protocol: scheme } = req;
      const status = res.headersSent ? res.statusCode : 0;
      const code = (res.locals as RequestLocals).log.code as string | undefined;
      const span = serverSpan({ method, scheme, status, code, route: routeOf(req), requestId: requestIdOf(res) });
      return { ...span, endMs: unixMs(performance.now()) };
    }
  };
