import type { Request, RequestHandler, Response } from 'express';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';

export type { Registry } from 'prom-client';

/** Creates a registry with Node's default metrics. */
export function createMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Measures requests by method, route pattern and status. Paths would create a series for each id. */
export function requestMetrics(registry: Registry): RequestHandler {
  const seconds = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the end of its response, in seconds.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  return (req, res, next) => {
    const stop = seconds.startTimer();
    res.once('close', () =>
      stop({ method: req.method, route: routeOf(req) ?? 'none', status: String(res.statusCode) }),
    );
    next();
  };
}

/** Returns the pattern of the route that handled the request. */
export function routeOf(req: Request): string | undefined {
  const pattern: unknown = (req.route as { path?: unknown } | undefined)?.path;
  return typeof pattern === 'string' ? req.baseUrl + pattern : undefined;
}

/** What {@link metricsHandler} needs of a registry. */
export type MetricsSource = Pick<Registry, 'contentType' | 'metrics'>;

export function metricsHandler(registry: MetricsSource) {
  return async (_req: Request, res: Response): Promise<void> => {
    res.type(registry.contentType).send(await registry.metrics());
  };
}

/**
 * @param bounds The upper bounds, ascending. The last count has none.
 * @returns The quantile, interpolated within its bucket. Undefined without observations.
 */
export function quantileOf(share: number, counts: readonly number[], bounds: readonly number[]): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let rank = share * total;
  for (const [bucket, count] of counts.entries()) {
    const upper = bounds[bucket];
    // Beyond the last bound, only the bound is known.
    if (upper === undefined) break;
    if (count > 0 && rank <= count) {
      const lower = bounds[bucket - 1] ?? 0;
      return lower + (upper - lower) * (rank / count);
    }
    rank -= count;
  }
  return bounds.at(-1);
}
