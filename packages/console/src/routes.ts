import type { AdminApi, Query } from '@countersign/admin-api';
import {
  AppError,
  allowOnly,
  createRouter,
  formBody,
  notStored,
  pageAssets,
  parseForm,
  toAppError,
} from '@countersign/service-kit';
import type { Request, Response, Router } from 'express';
import { type Frame, layout, type Page } from './html/layout.ts';
import { KeptPages } from './kept-pages.ts';
import { explainPage } from './pages/explain.ts';
import { badQueryPage, noAnswerPage, notFoundPage } from './pages/failures.ts';
import { consolePages, frameFor } from './pages.ts';

export type ConsoleOptions = Readonly<{
  api: AdminApi;
  /** Runs tasks one after the other. It may refuse a task with an error, which the routes pass on. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /** The version of the gateway. */
  version: string;
  nowMs(): number;
}>;

type Rendered = Readonly<{ status: number; body: string }>;

/** Fits a URL-encoded token of 16 KiB, twice the longest that the gateway accepts. */
const maxBodyBytes = 64 * 1024;
const explainPath = '/console/explain';

/** Serves the console: its pages, style sheet and script. */
export function consoleRoutes({ api, inTurn, version, nowMs }: ConsoleOptions): Router {
  const file = (name: string) => new URL(`./assets/${name}`, import.meta.url);
  const assets = pageAssets('/console/assets', { style: file('console.css'), script: file('console.js') });
  const kept = new KeptPages<Rendered>(inTurn);
  const router = createRouter();
  router.use(assets.router);
  for (const url of Object.values(assets.urls)) router.all(url.replace(/\?.*/, ''), allowOnly('GET, HEAD'));

  /** Renders a page, or an error page if the reader can fix the problem. */
  async function render(req: Request, page: Promise<Page>, missing?: string): Promise<Rendered> {
    const query = queryOf(req);
    const [state, made] = await Promise.all([frameFor(api.read, query.worker, nowMs()), page.catch(shownError)]);
    const frame = { ...state, version, nowMs: nowMs(), assets: assets.urls, path: req.path, query };
    const shown = made instanceof AppError ? failurePage(made, frame, missing) : made;
    return { status: shown.status ?? 200, body: layout(shown, frame) };
  }

  router.post(explainPath, notStored, parseForm(maxBodyBytes), async (req, res) =>
    send(res, await inTurn(() => render(req, explained(api, (formBody(req) ?? {}) as Query)))),
  );
  for (const { path, page, missing } of consolePages) {
    router.get(path, notStored, async (req, res) => {
      const params = req.params as Query;
      const asked = { read: api.read, nowMs: nowMs(), query: { ...queryOf(req), ...params } };
      send(res, await kept.of(req.originalUrl, () => render(req, page(asked), missing?.(params))));
    });
    router.all(path, allowOnly(path === explainPath ? 'GET, HEAD, POST' : 'GET, HEAD'));
  }
  router.get('/console{/*rest}', notStored, async (req, res) =>
    send(res, await inTurn(() => render(req, Promise.resolve(notFoundPage())))),
  );
  return router;
}

/** Handles the Explain form. */
async function explained({ explain }: AdminApi, given: Query): Promise<Page> {
  // The page must not contain the token.
  const { token: _token, ...shown } = given;
  try {
    return explainPage(shown, await explain(given));
  } catch (error) {
    const { code, errors } = toAppError(error);
    if (code === 'validation_failed') return { ...explainPage(shown, undefined, errors), status: 422 };
    throw error;
  }
}

/** An error that has its own page. */
function shownError(thrown: unknown): AppError {
  const error = toAppError(thrown);
  if (['validation_failed', 'not_found', 'unavailable'].includes(error.code)) return error;
  throw thrown;
}

function failurePage({ code, errors }: AppError, { path, query, worker }: Frame, missing: string | undefined): Page {
  if (code === 'validation_failed') return badQueryPage(errors ?? [], path);
  if (code === 'unavailable') return noAnswerPage;
  return notFoundPage(query.worker && worker === undefined ? `Worker ${query.worker} is not serving.` : missing);
}

const send = (res: Response, { status, body }: Rendered) => void res.status(status).type('html').send(body);

/** Uses a repeated parameter once. Trims values, because people paste them with spaces. */
function queryOf(req: Request): Query {
  const { searchParams } = new URL(req.originalUrl, 'http://admin');
  return Object.fromEntries([...searchParams].map(([name, value]) => [name, value.trim()]));
}
