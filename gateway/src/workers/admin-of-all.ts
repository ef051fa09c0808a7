import {
  type Health,
  healthRoutes,
  type Logger,
  notFound,
  type Registry,
  requestLog,
  respondWithProblem,
} from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import helmet from 'helmet';
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client';
import { AppError, errorTable } from '../errors.ts';
import { demandWellFormed } from '../http/well-formed.ts';
import { bareApp } from '../server/handlers.ts';
import type { WorkerAnswer, WorkerLink } from './worker-link.ts';

export type AdminOfAllParts = Readonly<{
  health: Health;
  /** The primary's own. */
  metrics: Registry;
  /** Of the workers that serve now. */
  links(): readonly WorkerLink[];
  logger: Logger;
  demandHost: RequestHandler;
}>;

/** Where a worker has its metrics in a form that can be added up. */
export const workerMetricsPath = '/metrics.json';
// What every worker says alike.
const askedOfOne = ['/.well-known/jwks.json', '/config', '/routes', '/upstreams'];

/** The admin listener of a gateway with several workers. What it says is the sum of what they say, or what one of them says. */
export function createAdminOfAll({ health, metrics, links, logger, demandHost }: AdminOfAllParts): Express {
  const app = bareApp();
  app.use(requestLog(logger), helmet(), demandWellFormed, demandHost);
  const { contentType } = metrics;
  app.use(healthRoutes(health, { contentType, metrics: () => sumOf(metrics, links()) }));
  app.get(askedOfOne, async (req, res) => {
    const { status, type, body } = await firstAnswer(links(), req.path);
    res.status(status).type(type).send(body);
  });
  app.use(notFound, respondWithProblem(errorTable));
  return app;
}

async function firstAnswer(links: readonly WorkerLink[], path: string): Promise<WorkerAnswer> {
  let cause: unknown;
  for (const link of links) {
    try {
      return await link.ask(path);
    } catch (error) {
      cause = error;
    }
  }
  throw new AppError('unavailable', { cause, detail: { reason: 'no worker answers' } });
}

/** A worker that does not answer in time is left out: what the others count is still worth having. */
async function sumOf(own: Registry, links: readonly WorkerLink[]): Promise<string> {
  const answers = await Promise.allSettled(links.map((link) => link.ask(workerMetricsPath)));
  const counted = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const all = counted.map(({ body }) => JSON.parse(body) as MetricObjectWithValues<MetricValue<string>>[]);
  return AggregatorRegistry.aggregate([...all, await own.getMetricsAsJSON()]).metrics();
}
