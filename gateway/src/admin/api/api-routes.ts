import type { AskApi } from '@countersign/console';
import { explainEndpoint, views } from '@countersign/console/admin-api';
import { AppError, createRouter, jsonBody, parseJson } from '@countersign/service-kit';
import type { RequestHandler, Router } from 'express';
import { ZodError } from 'zod';
import { type Code, errorTable } from '../../errors.ts';
import { explainQuestion } from '../../explain/question.ts';
import type { InTurn } from '../in-turn.ts';
import { type ConsoleData, describeAdminApi } from './admin-api.ts';

/** A token of 16 KiB, twice the longest that the gateway accepts, with its escapes. */
const maxBodyBytes = 64 * 1024;

/** The JSON of the console. A worker serves only this, to the primary, which waits in turn already. */
export function apiRoutes(data: ConsoleData, inTurn: InTurn = (work) => work()): Router {
  const router = createRouter();
  router.use(['/api'], notStored);
  for (const { path } of views) {
    getOnly(router, path, async (req, res) => {
      res.json(await inTurn(() => readFrom(data, req.originalUrl)));
    });
  }
  const description = JSON.stringify(describeAdminApi());
  getOnly(router, '/api/openapi.json', (_req, res) => void res.type('application/json').send(description));
  router.post(explainEndpoint.path, parseJson(maxBodyBytes), async (req, res) => {
    res.json(await inTurn(() => data.explain(explainQuestion.parse(jsonBody(req) ?? {}))));
  });
  router.all(explainEndpoint.path, allowOnly('POST'));
  return router;
}

/** Answers as the routes do, without HTTP. */
export const askApi =
  (data: ConsoleData): AskApi =>
  async (target, body) => {
    try {
      const found = body === undefined ? readFrom(data, target) : data.explain(explainQuestion.parse(body));
      return { status: 200, body: await found };
    } catch (error) {
      const { code, errors } = problemOf(error);
      return { status: errorTable[code].status, body: { code, errors } };
    }
  };

function problemOf(error: unknown): Readonly<{ code: Code; errors?: AppError['errors'] }> {
  if (error instanceof ZodError) {
    const errors = error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
    return { code: 'validation_failed', errors };
  }
  if (error instanceof AppError) return { code: error.code as Code, errors: error.errors };
  throw error;
}

/** @throws AppError `not_found`, also for an item that does not exist. */
async function readFrom(data: ConsoleData, target: string): Promise<unknown> {
  const { pathname, searchParams } = new URL(target, 'http://admin');
  for (const view of views) {
    const pattern = view.path.replaceAll(/:(\w+)/g, '(?<$1>[^/]+)');
    const match = new RegExp(`^${pattern}$`).exec(pathname);
    if (match === null) continue;
    const params = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]);
    // A repeated parameter counts once. Spaces around a value come from copying it. An empty value counts as absent.
    const query = Object.fromEntries([...searchParams].map(([name, value]) => [name, value.trim() || undefined]));
    view.query.parse(query);
    const found = await data.read(view, { ...query, ...Object.fromEntries(params) });
    if (found !== undefined) return found;
  }
  throw new AppError('not_found');
}

function getOnly(router: Router, path: string, handler: RequestHandler): void {
  router.get(path, handler);
  router.all(path, allowOnly('GET, HEAD'));
}

const allowOnly =
  (allow: string): RequestHandler =>
  (_req, _res, next) =>
    next(new AppError('method_not_allowed', { headers: { allow } }));

const notStored: RequestHandler = (_req, res, next) => {
  res.set('cache-control', 'no-store');
  next();
};
