import { setTimeout as delay } from 'node:timers/promises';
import {
  AppError,
  allowOnly,
  createRouter,
  formBody,
  notStored,
  parseForm,
  toAppError,
} from '@countersign/process-kit';
import { pageAssets } from '@countersign/service-kit';
import type { Request, Response, Router } from 'express';
import { type Frame, layout } from './html/layout.ts';
import { html, link, type Page } from './html/parts.ts';
import { type Answer, explainFormPage, explainPage } from './resources/explanation.ts';
import type { Query, ReadView } from './schema/view.ts';
import { consolePages, frameFor } from './views.ts';

/** The gateway's admin API, without HTTP. It throws AppErrors instead of returning problem details. */
export type AdminApi = Readonly<{
  read: ReadView;
  /** @param question The form fields. */
  explain(question: Query): Promise<Answer>;
}>;

export type ConsoleOptions = Readonly<{
  api: AdminApi;
  /** Runs tasks one after the other. It may refuse a task with an error, which the routes pass on. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  version: string;
  nowMs(): number;
}>;

type Rendered = Readonly<{ status: number; body: string }>;

/** Fits a URL-encoded token of 16 KiB, twice the longest that the gateway accepts. */
const maxBodyBytes = 64 * 1024;
const { path: explainPath } = explainFormPage;

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

// Error pages keep the navigation, for readers with an old or mistyped URL.

function failurePage(
  { code, errors = [] }: AppError,
  { path, query, worker }: Frame,
  missing: string | undefined,
): Page {
  if (code === 'unavailable')
    return failure(503, 'No answer', html`<p class="lead">No worker answers. See the log.</p>`);
  if (code !== 'validation_failed')
    return notFoundPage(query.worker && worker === undefined ? `Worker ${query.worker} is not serving.` : missing);
  return failure(
    422,
    'Invalid filter',
    html`<ul>${errors.map(({ path: name, message }) => html`<li class="error"><code>${name}</code> ${message}.</li>`)}</ul>
<p>${link(path, 'Show all')}</p>`,
  );
}

const notFoundPage = (why = 'The console has no page at this address.'): Page =>
  failure(404, 'Not found', html`<p class="lead">${why}</p>`);

const failure = (status: number, title: string, body: Page['body']): Page => ({ status, title, body, live: false });

const send = (res: Response, { status, body }: Rendered) => void res.status(status).type('html').send(body);

/** Uses a repeated parameter once. Trims values, because people paste them with spaces. */
function queryOf(req: Request): Query {
  const { searchParams } = new URL(req.originalUrl, 'http://admin');
  return Object.fromEntries([...searchParams].map(([name, value]) => [name, value.trim()]));
}

/** How long to reuse a rendered page for the same URL. */
const keptMs = 1_000;
const maxKept = 32;
/** How long to delay a reused page. Otherwise a client that reads in a loop would keep the process busy. */
const slowDownMs = 50;

const pause = (ms: number): Promise<void> => delay(ms, undefined, { ref: false });

/** Renders a page at most once a second for all readers of its URL. */
export class KeptPages<Page> {
  readonly #pages = new Map<string, Promise<Page>>();
  readonly #inTurn: (render: () => Promise<Page>) => Promise<Page>;

  constructor(inTurn: (render: () => Promise<Page>) => Promise<Page>) {
    this.#inTurn = inTurn;
  }

  /** @param url Identifies the page. Contains everything that the page depends on, except the gateway's state. */
  async of(url: string, render: () => Promise<Page>): Promise<Page> {
    const known = this.#pages.get(url);
    if (known !== undefined) {
      await pause(slowDownMs);
      return known;
    }
    const rendering = this.#inTurn(render);
    this.#pages.set(url, rendering);
    const forget = () => {
      if (this.#pages.get(url) === rendering) this.#pages.delete(url);
    };
    rendering.then(() => void pause(keptMs).then(forget), forget);
    const [oldest = url] = this.#pages.keys();
    if (this.#pages.size > maxKept) this.#pages.delete(oldest);
    return rendering;
  }
}
