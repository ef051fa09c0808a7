import * as kit from '@countersign/process-kit';
import type { Tracing } from '@countersign/tracing';
import express, { type Express, type RequestHandler, type Router } from 'express';
import { adoptRequestId } from './caller-log.ts';
import { traceRequests } from './trace-requests.ts';

export type ServiceParts = Readonly<{
  logger: kit.Logger;
  health: kit.Health;
  metrics: kit.Registry;
  errors: kit.ErrorTable;
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
  formatError?: kit.FormatError;
}>;

/** Creates a service's Express app, with the same middleware in the same order for every service. */
export function createServiceApp(parts: ServiceParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // Handlers set ETags from revisions. Express would add hashes of the body.
  app.set('query parser', 'simple'); // Nested parameters must not become objects.
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.use(kit.requestLog(parts.logger), kit.requestMetrics(parts.metrics));
  app.use(kit.healthRoutes(parts.health, parts.metrics));
  if (parts.publishKeys !== undefined) app.use(parts.publishKeys);
  if (parts.open !== undefined) app.use(parts.open);
  app.use(parts.identity, skipAbandoned, adoptRequestId);
  if (parts.tracing !== undefined) app.use(traceRequests(parts.tracing));
  const maxBodyBytes = parts.maxBodyBytes ?? 100 * 1024;
  app.use(kit.parseJson(maxBodyBytes), kit.parseForm(maxBodyBytes));
  app.use(parts.routes);
  app.use(kit.notFound);
  app.use(kit.respondWithProblem(parts.errors, parts.formatError));
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
