import { AppError, createRouter, formBody, parseForm } from '@countersign/service-kit';
import type { Request, RequestHandler, Response, Router } from 'express';
import { ApiProblem, type AskApi, type Query, type ReadApi, readApi } from './api.ts';
import { readAssets } from './assets.ts';
import { type Frame, layout, type Page } from './html/layout.ts';
import { KeptPages } from './kept-pages.ts';
import { explainPage } from './pages/explain.ts';
import { badQueryPage, noAnswerPage, notFoundPage } from './pages/failures.ts';
import { consolePages, frameFor } from './pages.ts';

export type ConsoleOptions = Readonly<{
  ask: AskApi;
  /** Does one piece of work after the other. May refuse one with an error, which the routes pass on. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /** The version of the gateway. */
  version: string;
  nowMs(): number;
}>;

type Rendered = Readonly<{ status: number; body: string }>;

/** A token of 16 KiB, twice the longest that the gateway accepts, with its escapes. */
const maxBodyBytes = 64 * 1024;
const explainPath = '/console/explain';

/** The console: its pages, its style sheet and its script. */
export function consoleRoutes({ ask, inTurn, version, nowMs }: ConsoleOptions): Router {
  const api = readApi(ask);
  const { assets, urls } = readAssets();
  const kept = new KeptPages<Rendered>(inTurn);
  const router = createRouter();
  for (const { path, type, body } of assets) {
    router.get(
      path,
      (_req, res) => void res.set('cache-control', 'public, max-age=31536000, immutable').type(type).send(body),
    );
    router.all(path, allowOnly('GET, HEAD'));
  }

  /** Renders a page, or the page for a problem that its reader can act on. */
  async function render(req: Request, page: Promise<Page>, missing?: string): Promise<Rendered> {
    const query = queryOf(req);
    const [state, made] = await Promise.all([frameFor(api, query.worker, nowMs()), page.catch(problemOf)]);
    const frame = { ...state, version, nowMs: nowMs(), assets: urls, path: req.path, query };
    const shown = made instanceof ApiProblem ? failurePage(made, frame, missing) : made;
    return { status: shown.status ?? 200, body: layout(shown, frame) };
  }

  router.post(explainPath, notStored, parseForm(maxBodyBytes), async (req, res) =>
    send(res, await inTurn(() => render(req, explained(api, (formBody(req) ?? {}) as Query)))),
  );
  for (const { path, page, missing } of consolePages) {
    router.get(path, notStored, async (req, res) => {
      const params = req.params as Query;
      const asked = { api, nowMs: nowMs(), query: { ...queryOf(req), ...params } };
      send(res, await kept.of(req.originalUrl, () => render(req, page(asked), missing?.(params))));
    });
    router.all(path, allowOnly(path === explainPath ? 'GET, HEAD, POST' : 'GET, HEAD'));
  }
  router.get('/console{/*rest}', notStored, async (req, res) =>
    send(res, await inTurn(() => render(req, Promise.resolve(notFoundPage())))),
  );
  return router;
}

/** Answers the form of Explain. */
async function explained(api: ReadApi, given: Query): Promise<Page> {
  // The token must not come back in the page.
  const { token: _token, ...shown } = given;
  try {
    return explainPage(shown, await api('/api/explain', {}, given));
  } catch (error) {
    const { status, errors } = problemOf(error);
    if (status === 422) return { ...explainPage(shown, undefined, errors), status };
    throw error;
  }
}

function problemOf(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  throw error;
}

function failurePage(problem: ApiProblem, { path, query, worker }: Frame, missing: string | undefined): Page {
  const { status, errors } = problem;
  if (status === 422) return badQueryPage(errors, path);
  if (status === 503) return noAnswerPage;
  if (status !== 404) throw problem;
  return notFoundPage(query.worker && worker === undefined ? `No worker ${query.worker} serves.` : missing);
}

const send = (res: Response, { status, body }: Rendered) => void res.status(status).type('html').send(body);

const allowOnly =
  (allow: string): RequestHandler =>
  (_req, _res, next) =>
    next(new AppError('method_not_allowed', { headers: { allow } }));

const notStored: RequestHandler = (_req, res, next) => {
  res.set('cache-control', 'no-store');
  next();
};

/** A repeated parameter counts once. Spaces around a value come from copying it. */
function queryOf(req: Request): Query {
  const { searchParams } = new URL(req.originalUrl, 'http://admin');
  return Object.fromEntries([...searchParams].map(([name, value]) => [name, value.trim()]));
}
