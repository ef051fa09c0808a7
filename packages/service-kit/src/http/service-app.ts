import type { Tracing } from '@countersign/tracing';
import express, { type Express, type RequestHandler, type Router } from 'express';
import { AppError, type ErrorTable } from '../errors.ts';
import type { Health } from '../process/health.ts';
import type { Logger } from '../process/logger.ts';
import { type MetricsSource, metricsHandler, type Registry, requestMetrics } from '../process/metrics.ts';
import { parseForm, parseJson } from './body.ts';
import { type FormatError, notFound, respondWithProblem } from './problem.ts';
import { adoptRequestId, requestLog } from './request-log.ts';
import { traceRequests } from './trace-requests.ts';

export type ServiceParts = Readonly<{
  logger: Logger;
  health: Health;
  metrics: Registry;
  errors: ErrorTable;
  /** Routes that need no identity. Only `/.well-known/*` belongs here. */
  open?: Router;
  /** Publishes the service's keys for agreement if `open` serves a key set. Otherwise {@link identity} does. */
  publishKeys?: RequestHandler;
  /** Refuses requests that the gateway did not sign. Runs before body parsing and routing. */
  identity: RequestHandler;
  /** Maximum size of a JSON body or form, by default 100 KiB. Handlers limit uploads themselves. */
  maxBodyBytes?: number;
  routes: Router;
  /** If undefined, there are no traces. */
  tracing?: Tracing | undefined;
  /** Formats error bodies for routes with an `errorBody`. */
  formatError?: FormatError;
}>;

/** Creates a service's Express app, with the same middleware in the same order for every service. */
export function createServiceApp(parts: ServiceParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // Handlers set ETags from revisions. Express would add hashes of the body.
  app.set('query parser', 'simple'); // Nested parameters must not become objects.
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.use(requestLog(parts.logger), requestMetrics(parts.metrics));
  app.use(healthRoutes(parts.health, parts.metrics));
  if (parts.publishKeys !== undefined) app.use(parts.publishKeys);
  if (parts.open !== undefined) app.use(parts.open);
  app.use(parts.identity, skipAbandoned, adoptRequestId);
  if (parts.tracing !== undefined) app.use(traceRequests(parts.tracing));
  const maxBodyBytes = parts.maxBodyBytes ?? 100 * 1024;
  app.use(parseJson(maxBodyBytes), parseForm(maxBodyBytes));
  app.use(parts.routes);
  app.use(notFound);
  app.use(respondWithProblem(parts.errors, parts.formatError));
  return app;
}

/**
 * Handles no request whose client has disconnected. A process that was suspended first finds the requests that the
 * gateway gave up on, and handling them would delay those that still wait. Node reads the end of a connection a turn of
 * the event loop after its request: while the identity check asks Redis, or in the turn that `setImmediate` waits for.
 */
const skipAbandoned: RequestHandler = ({ socket }, res, next) => {
  setImmediate(() => {
    if (!socket.readableEnded && !res.closed) next();
  });
};

/**
 * A router that matches paths like the gateway: unlike Express's default, it distinguishes case and trailing slashes.
 */
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
