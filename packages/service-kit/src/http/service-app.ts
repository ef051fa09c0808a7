import express, { type Express, type RequestHandler, type Router } from 'express';
import type { ErrorTable } from '../errors.ts';
import type { Health } from '../process/health.ts';
import type { Logger } from '../process/logger.ts';
import { type Registry, requestMetrics, type ShownMetrics, serveMetrics } from '../process/metrics.ts';
import { parseJson } from './body.ts';
import { notFound, respondWithProblem } from './problem.ts';
import { adoptRequestId, requestLog } from './request-log.ts';

export type ServiceParts = Readonly<{
  logger: Logger;
  health: Health;
  metrics: Registry;
  errors: ErrorTable;
  /** Served without identity: `/.well-known/*` and nothing else. */
  open?: Router;
  /** Refuses whatever the gateway did not sign; before any parser and before routing. */
  identity: RequestHandler;
  /** Largest JSON body, in bytes. */
  maxBodyBytes?: number;
  routes: Router;
}>;

/** Every service is this list, in this order. */
export function createServiceApp(parts: ServiceParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // An ETag here is a statement about a version, made by a handler, not a hash of the bytes.
  app.set('query parser', 'simple'); // A repeated or nested parameter must not become an object.
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.use(requestLog(parts.logger), requestMetrics(parts.metrics));
  app.use(healthRoutes(parts.health, parts.metrics));
  if (parts.open !== undefined) app.use(parts.open);
  app.use(parts.identity, adoptRequestId);
  app.use(parseJson(parts.maxBodyBytes ?? 100 * 1024));
  app.use(parts.routes);
  app.use(notFound);
  app.use(respondWithProblem(parts.errors));
  return app;
}

/** A router that matches as the gateway does: case counts, and a trailing slash is another path. Express' own default does not. */
export const createRouter = (): Router => express.Router({ caseSensitive: true, strict: true });

/** `/healthz` says the process runs, `/readyz` whether to send it requests, `/metrics` what it counts. */
export function healthRoutes(health: Health, metrics: ShownMetrics): Router {
  const router = createRouter();
  router.get('/healthz', (_req, res) => {
    res.json({ status: 'ok' });
  });
  router.get('/readyz', async (_req, res) => {
    const { ok, checks } = await health.ready();
    res.status(ok ? 200 : 503).json({ status: ok ? 'ready' : 'not ready', checks });
  });
  router.get('/metrics', serveMetrics(metrics));
  return router;
}
