import type { RequestListener } from 'node:http';
import {
  type Health,
  healthRoutes,
  type Logger,
  notFound,
  type Registry,
  requestLog,
  respondWithProblem,
} from '@countersign/service-kit';
import type { RequestHandler, Router } from 'express';
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client';
import { adminListener, requirePath } from '../admin/admin-target.ts';
import { adminHeaders, refuseCrossSite } from '../admin/console/console-security.ts';
import { AppError, errorTable } from '../errors.ts';
import { requireWellFormed } from '../http/well-formed.ts';
import { bareApp } from '../listen/express-app.ts';
import { withoutOutdatedFailures } from './outdated-failures.ts';
import type { WorkerAdminClient, WorkerAnswer } from './worker-admin.ts';

export type PrimaryAdminOptions = Readonly<{
  health: Health;
  /** The primary's own metrics. */
  metrics: Registry;
  /** The workers that serve now. */
  workers(): readonly WorkerAdminClient[];
  logger: Logger;
  requireHost: RequestHandler;
  /** Undefined without the console. */
  consoleRoutes: Router | undefined;
}>;

// Every worker gives the same answer to these.
const askedOfOneWorker = ['/.well-known/jwks.json', '/config', '/routes', '/upstreams'];

/** The admin listener of a gateway with several workers. It adds up their metrics, and passes other requests to one of them. */
export function createPrimaryAdminApp(options: PrimaryAdminOptions): RequestListener {
  const { health, metrics, workers, logger, requireHost, consoleRoutes } = options;
  const app = bareApp();
  app.use(requestLog(logger), adminHeaders, requireWellFormed, requireHost, requirePath, refuseCrossSite);
  const { contentType } = metrics;
  app.use(healthRoutes(health, { contentType, metrics: () => sumMetrics(metrics, workers()) }));
  app.get(askedOfOneWorker, async (req, res) => {
    const { status, type, body } = await firstAnswer(workers(), req.path);
    res.status(status).type(type).send(body);
  });
  if (consoleRoutes !== undefined) app.use(consoleRoutes);
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

/** Leaves out a worker that does not answer in time, because the other workers' counts are still useful. */
async function sumMetrics(own: Registry, workers: readonly WorkerAdminClient[]): Promise<string> {
  const answers = await Promise.allSettled(workers.map((worker) => worker.metrics()));
  const counted = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const all = counted.map(({ body }) => JSON.parse(body) as MetricObjectWithValues<MetricValue<string>>[]);
  return AggregatorRegistry.aggregate([...withoutOutdatedFailures(all), await own.getMetricsAsJSON()]).metrics();
}
