import express, { type RequestHandler, type Router } from 'express';
import { AppError } from '../errors.ts';
import type { Health } from '../process/health.ts';
import { type MetricsSource, metricsHandler } from '../process/metrics.ts';

/** A router that matches paths like the gateway: it distinguishes case and trailing slashes. */
export const createRouter = (): Router => express.Router({ caseSensitive: true, strict: true });

/** Passes on AppError `method_not_allowed` for methods that no route with this path accepts. */
export const allowOnly =
  (allow: string): RequestHandler =>
  (_req, _res, next) =>
    next(new AppError('method_not_allowed', { headers: { allow } }));

export const notStored: RequestHandler = (_req, res, next) => {
  res.set('cache-control', 'no-store');
  next();
};

/** Serves `/healthz` (the process runs), `/readyz` (it accepts requests) and `/metrics`. */
export function healthRoutes(health: Health, metrics: MetricsSource): Router {
  const router = createRouter();
  router.get('/healthz', (_req, res) => {
    res.json({ status: 'ok' });
  });
  router.get('/readyz', async (_req, res) => {
    const { ok, checks } = await health.ready();
    res.status(ok ? 200 : 503).json({ status: ok ? 'ready' : 'not ready', checks });
  });
  router.get('/metrics', metricsHandler(metrics));
  return router;
}
