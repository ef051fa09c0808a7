import type { AdminApi, Answers, Query, Since } from '@countersign/admin-api';
import { toAppError } from '@countersign/service-kit';
import type { Content } from './html/html.ts';
import type { Frame, Page } from './html/layout.ts';
import { overviewParts } from './pages/attention.ts';
import { certificatesPage } from './pages/certificates.ts';
import { explainPage } from './pages/explain.ts';
import { reloadsPage, workersPage } from './pages/gateway.ts';
import { limitsPage } from './pages/limits.ts';
import { overviewPage } from './pages/overview.ts';
import { requestPage, requestsPage } from './pages/requests.ts';
import { routePage, routesPage } from './pages/routes.ts';
import { issuersPage, revocationsPage } from './pages/trust.ts';
import { upstreamsPage } from './pages/upstreams.ts';

type Asked = Readonly<{ read: AdminApi['read']; nowMs: number; query: Query }>;

/** A console page, rendered from an API response. */
type ConsolePage = Readonly<{
  path: string;
  page(asked: Asked): Promise<Page>;
  /** Says why the item may be missing. */
  missing?(query: Query): string;
}>;

export const consolePages: readonly ConsolePage[] = [
  { path: '/', page: overview },
  {
    path: '/console/routes',
    page: async ({ read, query }) => ({
      body: routesPage(await read('/api/routes', query), query.q ?? ''),
    }),
  },
  {
    path: '/console/routes/:name',
    async page({ read, query, nowMs }) {
      const route = await read('/api/routes/:name', query);
      return routePage(route, await read('/api/requests', { route: query.name, worker: query.worker }), nowMs);
    },
    missing: ({ name = '' }) => `The current configuration has no route ${name}.`,
  },
  {
    path: '/console/requests',
    page: async ({ read, query, nowMs }) => ({
      body: requestsPage(await read('/api/requests', query), query, nowMs),
    }),
  },
  {
    path: '/console/requests/:id',
    page: async ({ read, query }) => requestPage(await read('/api/requests/:id', query)),
    missing: ({ id = '' }) =>
      `The gateway keeps only the last requests and refusals, and loses them when it restarts. Search the log for ${id}.`,
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
    async page({ read, query: { worker }, nowMs }) {
      const processes = await read('/api/workers', { worker });
      return { body: workersPage(processes, await read('/api/events', { worker }), nowMs) };
    },
  },
];

/** A page that shows the API endpoint with the same name. */
function statePage<Name extends StateName>(
  name: Name,
  page: (answer: Answers[`/api/${Name}`], nowMs: number) => Content,
): ConsolePage {
  return {
    path: `/console/${name}`,
    page: async ({ read, query: { worker }, nowMs }) => ({ body: page(await read(`/api/${name}`, { worker }), nowMs) }),
  };
}

type StateName = 'upstreams' | 'issuers' | 'revocations' | 'limits' | 'reloads' | 'certificates';

async function overview({ read, query: { worker }, nowMs }: Asked): Promise<Page> {
  const parts = Object.entries(overviewParts).map(async ([name, path]) => [name, await read(path, { worker })]);
  return { body: overviewPage({ ...Object.fromEntries(await Promise.all(parts)), nowMs }) };
}

/** Reads the gateway's state for the layout of every page. The state is unknown if no worker answers. */
export async function frameFor(
  read: AdminApi['read'],
  chosen: string | undefined,
  nowMs: number,
): Promise<Pick<Frame, 'gateway' | 'configuration' | 'workers' | 'worker'>> {
  try {
    const [{ processes }, { state }] = await Promise.all([read('/api/workers'), read('/api/reloads')]);
    const workers = processes.flatMap(({ worker }) => worker ?? []);
    return {
      gateway: worstOf(processes.map((one) => one.state)),
      configuration: state,
      workers,
      worker: workers.find((one) => String(one) === chosen),
    };
  } catch (error) {
    if (toAppError(error).code !== 'unavailable') throw error;
    const unknown = { state: 'no answer', since: new Date(nowMs).toISOString(), why: null };
    return { gateway: unknown, configuration: unknown, workers: [], worker: undefined };
  }
}

/** Returns the worst state, since the first process had it. */
function worstOf(states: readonly Since[]): Since {
  const rank = ({ state }: Since) => Number(state === 'ready');
  const [worst] = states.toSorted((a, b) => rank(a) - rank(b) || (a.since < b.since ? -1 : 1));
  return worst ?? { state: 'no answer', since: '', why: null };
}
