import { AppError, createRouter, formBody, jsonBody, parseForm, parseJson } from '@countersign/service-kit';
import type { Request, RequestHandler, Response, Router } from 'express';
import { ZodError } from 'zod';
import { explainEndpoint, explainQuestion } from '../api/explain.ts';
import { strictQuery, type View, type ViewQuery } from '../api/view.ts';
import { type ConsoleData, views } from './console-data.ts';
import { bareFrame, consolePages, frameFor } from './console-pages.ts';
import { consoleApi } from './openapi.ts';
import { readAssets } from './pages/assets.ts';
import { explainPage, type FormError } from './pages/explain.ts';
import { badQueryPage, noAnswerPage, notFoundPage } from './pages/failures.ts';
import { layout, type Page } from './pages/layout.ts';
import { type Rendered, Renderings } from './renderings.ts';

export type ConsoleRoutesOptions = Readonly<{
  data: ConsoleData;
  version: string;
  nowMs(): number;
}>;

/** A token of 16 KiB, twice the longest that the gateway accepts, with its escapes. */
const maxBodyBytes = 64 * 1024;

/** The JSON of the console. A worker serves only this, to the primary, which waits in turn already. */
export function consoleApiRoutes(data: ConsoleData, inTurn: Renderings['inTurn'] = (render) => render()): Router {
  const router = createRouter();
  router.use(['/api'], notStored);
  for (const view of views) serveView(router, view, data, inTurn);
  const description = JSON.stringify(consoleApi());
  getOnly(router, '/api/openapi.json', (_req, res) => void res.type('application/json').send(description));
  router.post(explainEndpoint.path, parseJson(maxBodyBytes), async (req, res) => {
    send(res, await inTurn(async () => jsonOf(await data.explain(explainQuestion.parse(jsonBody(req) ?? {})))));
  });
  router.all(explainEndpoint.path, allowOnly('POST'));
  return router;
}

/** The console: its pages, its JSON, its style sheet and its script. */
export function consoleRoutes(options: ConsoleRoutesOptions): Router {
  const { data, nowMs, version } = options;
  const { assets, urls } = readAssets();
  const router = createRouter();
  const renderings = new Renderings();
  router.use(consoleApiRoutes(data, (render) => renderings.inTurn(render)));
  for (const { path, type, body } of assets) {
    getOnly(
      router,
      path,
      (_req, res) => void res.set('cache-control', 'public, max-age=31536000, immutable').type(type).send(body),
    );
  }
  const render = async (req: Request, page: Page, status = 200): Promise<Rendered> => {
    const parts = { data, version, nowMs: nowMs(), assets: urls, path: req.path, query: queryOf(req) };
    const frame = status === 503 ? bareFrame(parts) : await frameFor(parts);
    return { status, type: 'text/html; charset=utf-8', body: Buffer.from(layout(page, frame).text) };
  };
  for (const { path, page, missing } of consolePages) {
    if (path === '/console/explain') {
      router.post(path, notStored, parseForm(maxBodyBytes), async (req, res) =>
        send(res, await renderings.inTurn(() => explain(req))),
      );
    }
    getOnly(
      router,
      path,
      notStored,
      async (req, res) => {
        const rendered = renderings.kept(req.originalUrl, async () => {
          try {
            const made = await page({ data, nowMs: nowMs(), query: { ...queryOf(req), ...paramsOf(req) } });
            if (made === undefined) return await render(req, notFoundPage(missing?.(paramsOf(req))), 404);
            return await render(req, made);
          } catch (error) {
            const failed = failureOf(error, req);
            if (failed === undefined) throw error;
            return render(req, failed.page, failed.status);
          }
        });
        send(res, await rendered);
      },
      path === '/console/explain' ? 'GET, HEAD, POST' : undefined,
    );
  }

  router.get('/console{/*rest}', notStored, async (req, res) =>
    send(res, await renderings.inTurn(() => render(req, notFoundPage(), 404))),
  );

  async function explain(req: Request): Promise<Rendered> {
    const given = (formBody(req) ?? {}) as ViewQuery;
    // The token must not come back in the page.
    const { token: _token, ...shown } = given;
    try {
      return await render(req, explainPage(shown, await data.explain(explainQuestion.parse(given))));
    } catch (error) {
      const errors = formErrors(error);
      const failed =
        errors === undefined ? failureOf(error, req) : { page: explainPage(shown, undefined, errors), status: 422 };
      if (failed === undefined) throw error;
      return render(req, failed.page, failed.status);
    }
  }
  return router;
}

function serveView(router: Router, view: View, data: ConsoleData, inTurn: Renderings['inTurn']): void {
  getOnly(router, view.endpoint.path, async (req, res) => {
    const rendered = await inTurn(async () => {
      const found = await data.read(view, { ...strictQuery(view, queryOf(req)), ...paramsOf(req) });
      if (found === undefined) throw new AppError('not_found');
      return jsonOf(found);
    });
    send(res, rendered);
  });
}

const jsonOf = (data: unknown): Rendered => ({
  status: 200,
  type: 'application/json; charset=utf-8',
  body: Buffer.from(JSON.stringify(data)),
});

const send = (res: Response, { status, type, body }: Rendered) => void res.status(status).type(type).send(body);

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
