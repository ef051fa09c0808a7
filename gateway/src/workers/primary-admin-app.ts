import type { RequestListener } from 'node:http';
import {
  type Health,
  healthRoutes,
  type Logger,
  type MetricsSource,
  notFound,
  requestLog,
  respondWithProblem,
} from '@countersign/service-kit';
import type { RequestHandler, Router } from 'express';
import { adminListener, requirePath } from '../admin/admin-target.ts';
import { adminHeaders, refuseCrossSite } from '../admin/console/console-security.ts';
import { AppError, errorTable } from '../errors.ts';
import { requireWellFormed } from '../http/well-formed.ts';
import { bareApp } from '../listen/express-app.ts';
import type { WorkerAdminClient, WorkerAnswer } from './worker-admin.ts';

export type PrimaryAdminOptions = Readonly<{
  health: Health;
  metrics: MetricsSource;
  /** The workers that serve now. */
  workers(): readonly WorkerAdminClient[];
  logger: Logger;
  requireHost: RequestHandler;
  /** Empty without the console. */
  moreRoutes: readonly Router[];
}>;

// Every worker gives the same answer to these.
const askedOfOneWorker = ['/.well-known/jwks.json', '/config', '/routes', '/upstreams'];

/** The admin listener of a gateway with several workers. It shows their metrics added up, and passes other requests to one of them. */
export function createPrimaryAdminApp(options: PrimaryAdminOptions): RequestListener {
  const { health, metrics, workers, logger, requireHost, moreRoutes } = options;
  const app = bareApp();
  app.use(requestLog(logger), adminHeaders, requireWellFormed, requireHost, requirePath, refuseCrossSite);
  app.use(healthRoutes(health, metrics));
  app.get(askedOfOneWorker, async (req, res) => {
    const { status, type, body } = await firstAnswer(workers(), req.path);
    res.status(status).type(type).send(body);
  });
  for (const router of moreRoutes) app.use(router);
  app.use(notFound, respondWithProblem(errorTable));
  return adminListener(app);
}

async function firstAnswer(workers: readonly WorkerAdminClient[], path: string): Promise<WorkerAnswer> {
  let cause: unknown;
  for (const worker of workers) {
    try {
      return await worker.get(path);
    } catch (error) {
      cause = error;
    }
  }
  throw new AppError('unavailable', { cause, detail: { reason: 'no worker answers' } });
}
