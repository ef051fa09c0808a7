import {
  errorOf,
  inServerSpan,
  methodAttribute,
  newSpanId,
  parseTraceparent,
  spanName,
  type Tracing,
  unixMs,
} from '@countersign/tracing';
import type { RequestHandler } from 'express';
import { routeOf } from '../process/metrics.ts';
import { addToLog, type RequestLocals, requestIdOf } from './request-log.ts';

/**
 * Creates a span for each request that the gateway samples, and adds its trace id to the log. Mount this after the
 * identity middleware: before it, anyone could have set `traceparent`.
 */
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
    if (isSampled) res.once('close', () => tracing.add({ ...serverSpan(), traceId, spanId, parentId, startMs }));
    inServerSpan(tracing, { traceId, spanId, isSampled, isOver: () => res.closed }, next);

    function serverSpan() {
      const route = routeOf(req);
      const { code } = (res.locals as RequestLocals).log;
      return {
        name: spanName(req.method, route),
        kind: 'server' as const,
        endMs: unixMs(performance.now()),
        attributes: {
          'http.request.method': methodAttribute(req.method),
          'http.route': route,
          'http.response.status_code': res.headersSent ? res.statusCode : undefined,
          'url.scheme': req.protocol,
          'countersign.request_id': requestIdOf(res),
        },
        errorType: errorOf(code as string | undefined, res.statusCode, 500),
        isFailed: res.statusCode >= 500,
      };
    }
  };
