import type { Answers, Since } from './admin-api/index.ts';
import { ApiProblem, type Query, type ReadApi } from './api.ts';
import type { Content } from './html/html.ts';
import type { Frame, Page } from './html/layout.ts';
import { overviewParts } from './pages/attention.ts';
import { certificatesPage } from './pages/certificates.ts';
import { explainPage } from './pages/explain.ts';
import { reloadsPage, workersPage } from './pages/gateway.ts';
import { limitsPage } from './pages/limits.ts';
import { overviewPage } from './pages/overview.ts';
import { requestFilters, requestPage, requestsPage } from './pages/requests.ts';
import { routePage, routesPage } from './pages/routes.ts';
import { issuersPage, revocationsPage } from './pages/trust.ts';
import { upstreamsPage } from './pages/upstreams.ts';

type Asked = Readonly<{ api: ReadApi; nowMs: number; query: Query }>;

/** A page of the console, made from what the API answers. */
type ConsolePage = Readonly<{
  path: string;
  /** @throws ApiProblem */
  page(asked: Asked): Promise<Page>;
  /** Says why the item may be missing. */
  missing?(query: Query): string;
}>;

/** The names that the API knows, of a query that may have others. */
const only = (query: Query, names: readonly string[]): Query =>
  Object.fromEntries([...names, 'worker'].map((name) => [name, query[name]]));

export const consolePages: readonly ConsolePage[] = [
  { path: '/', page: overview },
  {
    path: '/console/routes',
    page: async ({ api, query }) => ({
      body: routesPage(await api('/api/routes', only(query, ['q', 'offset'])), query.q ?? ''),
    }),
  },
  {
    path: '/console/routes/:name',
    async page({ api, query, nowMs }) {
      const route = await api('/api/routes/:name', only(query, ['name']));
      return routePage(route, await api('/api/requests', { route: query.name, worker: query.worker }), nowMs);
    },
    missing: ({ name = '' }) => `The configuration in force has no route ${name}.`,
  },
  {
    path: '/console/requests',
    page: async ({ api, query, nowMs }) => ({
      body: requestsPage(await api('/api/requests', only(query, requestFilters)), query, nowMs),
    }),
  },
  {
    path: '/console/requests/:id',
    page: async ({ api, query }) => requestPage(await api('/api/requests/:id', only(query, ['id']))),
    missing: ({ id = '' }) =>
      `Only the last requests and the last refusals are kept, until the gateway restarts. Search the log for ${id}.`,
  },
  { path: '/console/explain', page: async ({ query: { token: _token, ...shown } }) => explainPage(shown) },
  statePage('upstreams', upstreamsPage),
  statePage('issuers', issuersPage),
  statePage('revocations', revocationsPage),
  statePage('limits', limitsPage),
  statePage('reloads', reloadsPage),
  statePage('certificates', certificatesPage),
  {
    path: '/console/workers',
    async page({ api, query: { worker }, nowMs }) {
      const processes = await api('/api/workers', { worker });
      return { body: workersPage(processes, await api('/api/events', { worker }), nowMs) };
    },
  },
];

/** A page that shows one answer of the API, which has its name. */
function statePage<Name extends StateName>(
  name: Name,
  page: (answer: Answers[`/api/${Name}`], nowMs: number) => Content,
): ConsolePage {
  return {
    path: `/console/${name}`,
    page: async ({ api, query: { worker }, nowMs }) => ({ body: page(await api(`/api/${name}`, { worker }), nowMs) }),
  };
}

type StateName = 'upstreams' | 'issuers' | 'revocations' | 'limits' | 'reloads' | 'certificates';

async function overview({ api, query: { worker }, nowMs }: Asked): Promise<Page> {
  const parts = Object.entries(overviewParts).map(async ([name, path]) => [name, await api(path, { worker })]);
  return { body: overviewPage({ ...Object.fromEntries(await Promise.all(parts)), nowMs }) };
}

/** What the frame of every page shows of the gateway. While no worker answers, nothing is known. */
export async function frameFor(
  api: ReadApi,
  chosen: string | undefined,
  nowMs: number,
): Promise<Pick<Frame, 'gateway' | 'configuration' | 'workers' | 'worker'>> {
  try {
    const [{ processes }, { state }] = await Promise.all([api('/api/workers'), api('/api/reloads')]);
    const workers = processes.flatMap(({ worker }) => worker ?? []);
    return {
      gateway: worstOf(processes.map((one) => one.state)),
      configuration: state,
      workers,
      worker: workers.find((one) => String(one) === chosen),
    };
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.status !== 503) throw error;
    const unknown = { state: 'no answer', since: new Date(nowMs).toISOString(), why: null };
    return { gateway: unknown, configuration: unknown, workers: [], worker: undefined };
  }
}

/** The worst state, since the first process had it. */
function worstOf(states: readonly Since[]): Since {
  const rank = ({ state }: Since) => Number(state === 'ready');
  const [worst] = states.toSorted((a, b) => rank(a) - rank(b) || (a.since < b.since ? -1 : 1));
  return worst ?? { state: 'no answer', since: '', why: null };
}
