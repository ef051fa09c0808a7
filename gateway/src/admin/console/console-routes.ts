import { AppError, createRouter, formBody, jsonBody, parseForm, parseJson } from '@countersign/service-kit';
import type { Request, RequestHandler, Response, Router } from 'express';
import { ZodError } from 'zod';
import { explainEndpoint, explainQuestion } from './api/explain.ts';
import { strictQuery, type View, type ViewQuery } from './api/view.ts';
import { type ConsoleData, views } from './console-data.ts';
import { bareFrame, consolePages, frameFor } from './console-pages.ts';
import { consoleApi } from './openapi.ts';
import { readAssets } from './pages/assets.ts';
import { explainPage, type FormError } from './pages/explain.ts';
import { badQueryPage, noAnswerPage, notFoundPage } from './pages/failures.ts';
import { layout, type Page } from './pages/layout.ts';

export type ConsoleRoutesOptions = Readonly<{
  data: ConsoleData;
  version: string;
  nowMs(): number;
}>;

/** A token of 16 KiB, twice the longest that the gateway accepts, with its escapes. */
const maxBodyBytes = 64 * 1024;

/** The JSON of the console. A worker serves only this, to the primary. */
export function consoleApiRoutes(data: ConsoleData): Router {
  const router = createRouter();
  router.use(['/api'], notStored);
  for (const view of views) serveView(router, view, data);
  const description = JSON.stringify(consoleApi());
  getOnly(router, '/api/openapi.json', (_req, res) => void res.type('application/json').send(description));
  router.post(explainEndpoint.path, parseJson(maxBodyBytes), async (req, res) => {
    res.json(await data.explain(explainQuestion.parse(jsonBody(req) ?? {})));
  });
  router.all(explainEndpoint.path, allowOnly('POST'));
  return router;
}

/** The console: its pages, its JSON, its style sheet and its script. */
export function consoleRoutes(options: ConsoleRoutesOptions): Router {
  const { data, nowMs, version } = options;
  const { assets, urls } = readAssets();
  const router = createRouter();
  router.use(consoleApiRoutes(data));
  for (const { path, type, body } of assets) {
    getOnly(
      router,
      path,
      (_req, res) => void res.set('cache-control', 'public, max-age=31536000, immutable').type(type).send(body),
    );
  }
  const render = async (req: Request, res: Response, page: Page, status = 200) => {
    const parts = { data, version, nowMs: nowMs(), assets: urls, path: req.path, query: queryOf(req) };
    const frame = status === 503 ? bareFrame(parts) : await frameFor(parts);
    res.status(status).type('html').send(layout(page, frame).text);
  };
  for (const { path, page, missing } of consolePages) {
    if (path === '/console/explain') router.post(path, notStored, parseForm(maxBodyBytes), explain);
    getOnly(
      router,
      path,
      notStored,
      async (req, res) => {
        try {
          const made = await page({ data, nowMs: nowMs(), query: { ...queryOf(req), ...paramsOf(req) } });
          if (made === undefined) await render(req, res, notFoundPage(missing?.(paramsOf(req))), 404);
          else await render(req, res, made);
        } catch (error) {
          const failed = failureOf(error, req);
          if (failed === undefined) throw error;
          await render(req, res, failed.page, failed.status);
        }
      },
      path === '/console/explain' ? 'GET, HEAD, POST' : undefined,
    );
  }

  router.get('/console{/*rest}', notStored, (req, res) => render(req, res, notFoundPage(), 404));

  async function explain(req: Request, res: Response): Promise<void> {
    const given = (formBody(req) ?? {}) as ViewQuery;
    // The token must not come back in the page.
    const { token: _token, ...shown } = given;
    try {
      await render(req, res, explainPage(shown, await data.explain(explainQuestion.parse(given))));
    } catch (error) {
      const errors = formErrors(error);
      const failed =
        errors === undefined ? failureOf(error, req) : { page: explainPage(shown, undefined, errors), status: 422 };
      if (failed === undefined) throw error;
      await render(req, res, failed.page, failed.status);
    }
  }
  return router;
}

function serveView(router: Router, view: View, data: ConsoleData): void {
  getOnly(router, view.endpoint.path, async (req, res) => {
    const found = await data.read(view, { ...strictQuery(view, queryOf(req)), ...paramsOf(req) });
    if (found === undefined) throw new AppError('not_found');
    res.json(found);
  });
}

function getOnly(router: Router, path: string, ...rest: readonly (RequestHandler | string | undefined)[]): void {
  const handlers = rest.filter((one) => typeof one === 'function');
  const allow = rest.find((one) => typeof one === 'string') ?? 'GET, HEAD';
  router.get(path, ...handlers);
  router.all(path, allowOnly(allow));
}

const allowOnly =
  (allow: string): RequestHandler =>
  (_req, _res, next) =>
    next(new AppError('method_not_allowed', { headers: { allow } }));

const notStored: RequestHandler = (_req, res, next) => {
  res.set('cache-control', 'no-store');
  next();
};

/** A repeated parameter counts once. Spaces around a value come from copying it. */
function queryOf(req: Request): ViewQuery {
  const { searchParams } = new URL(req.originalUrl, 'http://admin');
  return Object.fromEntries([...searchParams].map(([name, value]) => [name, value.trim()]));
}

const paramsOf = (req: Request): ViewQuery => req.params as ViewQuery;

/** A page for an error that its reader can act on. */
function failureOf(error: unknown, req: Request): Readonly<{ page: Page; status: number }> | undefined {
  const errors = formErrors(error);
  const { worker } = queryOf(req);
  if (errors !== undefined) return { page: badQueryPage(errors, req.path), status: 422 };
  if (!(error instanceof AppError)) return undefined;
  if (error.code === 'not_found' && worker) return { page: notFoundPage(`No worker ${worker} serves.`), status: 404 };
  return error.code === 'unavailable' ? { page: noAnswerPage, status: 503 } : undefined;
}

function formErrors(error: unknown): readonly FormError[] | undefined {
  if (error instanceof ZodError) return error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  return error instanceof AppError ? error.errors : undefined;
}
