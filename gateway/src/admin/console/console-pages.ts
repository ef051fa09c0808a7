import { AppError } from '../../errors.ts';
import { certificatesView } from '../api/certificates.ts';
import { eventsView } from '../api/events.ts';
import { issuersView } from '../api/issuers.ts';
import { limitsView } from '../api/limits.ts';
import { gatewayState, processesView } from '../api/process.ts';
import { refusalsView } from '../api/refusals.ts';
import { reloadsView } from '../api/reloads.ts';
import { requestsView, requestView } from '../api/requests.ts';
import { revocationsView } from '../api/revocations.ts';
import { routesView, routeView } from '../api/routes.ts';
import { trafficView } from '../api/traffic.ts';
import { upstreamsView } from '../api/upstreams.ts';
import type { ViewQuery } from '../api/view.ts';
import type { ConsoleData } from './console-data.ts';
import type { AssetUrls } from './pages/assets.ts';
import { certificatesPage } from './pages/certificates.ts';
import { explainPage } from './pages/explain.ts';
import { reloadsPage, workersPage } from './pages/gateway.ts';
import type { Frame, Page } from './pages/layout.ts';
import { limitsPage } from './pages/limits.ts';
import { overviewPage } from './pages/overview.ts';
import { requestPage, requestsPage } from './pages/requests.ts';
import { routePage, routesPage } from './pages/routes.ts';
import { issuersPage, revocationsPage } from './pages/trust.ts';
import { upstreamsPage } from './pages/upstreams.ts';

type Asked = Readonly<{ data: ConsoleData; nowMs: number; query: ViewQuery }>;

/** A page of the console, made from the views that the API serves. */
type ConsolePage = Readonly<{
  path: string;
  /** @returns Undefined if the item does not exist. */
  page(asked: Asked): Promise<Page | undefined>;
  /** Says why the item may be missing. */
  missing?(query: ViewQuery): string;
}>;

/** Reads a view that always exists. */
async function always<Data>(reading: Promise<Data | undefined>): Promise<Data> {
  const data = await reading;
  if (data === undefined) throw new AppError('not_found');
  return data;
}

export const consolePages: readonly ConsolePage[] = [
  { path: '/', page: overview },
  {
    path: '/console/routes',
    page: async ({ data, query }) => routesPage(await always(data.read(routesView, query)), query.q ?? ''),
  },
  {
    path: '/console/routes/:name',
    async page({ data, query, nowMs }) {
      const route = await data.read(routeView, query);
      if (route === undefined) return undefined;
      return routePage(
        route,
        await always(data.read(requestsView, { route: query.name, worker: query.worker })),
        nowMs,
      );
    },
    missing: ({ name = '' }) => `The configuration in force has no route ${name}.`,
  },
  {
    path: '/console/requests',
    page: async ({ data, query, nowMs }) => requestsPage(await always(data.read(requestsView, query)), query, nowMs),
  },
  {
    path: '/console/requests/:id',
    async page({ data, query }) {
      const request = await data.read(requestView, query);
      return request && requestPage(request);
    },
    missing: ({ id = '' }) =>
      `Only the last requests and the last refusals are kept, until the gateway restarts. Search the log for ${id}.`,
  },
  { path: '/console/explain', page: async ({ query: { token: _token, ...shown } }) => explainPage(shown) },
  {
    path: '/console/upstreams',
    page: async ({ data, query, nowMs }) => upstreamsPage(await always(data.read(upstreamsView, query)), nowMs),
  },
  {
    path: '/console/issuers',
    page: async ({ data, query, nowMs }) => issuersPage(await always(data.read(issuersView, query)), nowMs),
  },
  {
    path: '/console/revocations',
    page: async ({ data, query, nowMs }) => revocationsPage(await always(data.read(revocationsView, query)), nowMs),
  },
  {
    path: '/console/limits',
    page: async ({ data, query, nowMs }) => limitsPage(await always(data.read(limitsView, query)), nowMs),
  },
  {
    path: '/console/reloads',
    page: async ({ data, query, nowMs }) => reloadsPage(await always(data.read(reloadsView, query)), nowMs),
  },
  {
    path: '/console/certificates',
    page: async ({ data, query, nowMs }) => certificatesPage(await always(data.read(certificatesView, query)), nowMs),
  },
  {
    path: '/console/workers',
    page: async ({ data, query, nowMs }) =>
      workersPage(await always(data.read(processesView, query)), await always(data.read(eventsView, query)), nowMs),
  },
];

async function overview({ data, query: { worker }, nowMs }: Asked): Promise<Page> {
  const query = { worker };
  const [traffic, processes, upstreams, issuers, revocations, reloads, limits, certificates, refusals, events] =
    await Promise.all([
      always(data.read(trafficView, query)),
      always(data.read(processesView, query)),
      always(data.read(upstreamsView, query)),
      always(data.read(issuersView, query)),
      always(data.read(revocationsView, query)),
      always(data.read(reloadsView, query)),
      always(data.read(limitsView, query)),
      always(data.read(certificatesView, query)),
      always(data.read(refusalsView, query)),
      always(data.read(eventsView, query)),
    ]);
  const trust = { issuers, revocations };
  return overviewPage({
    traffic,
    processes,
    upstreams,
    ...trust,
    reloads,
    limits,
    certificates,
    refusals,
    events,
    nowMs,
  });
}

type FrameParts = Readonly<{
  data: ConsoleData;
  version: string;
  nowMs: number;
  assets: AssetUrls;
  path: string;
  query: ViewQuery;
}>;

/** The frame of a page while no worker answers. */
export function bareFrame({ data, version, nowMs, assets, path, query }: FrameParts): Frame {
  const unknown = { state: 'no answer', since: new Date(nowMs).toISOString(), why: null };
  const workers = data.workers();
  const worker = workers.find((one) => String(one) === query.worker);
  return { gateway: unknown, configuration: unknown, version, nowMs, assets, workers, worker, path, query };
}

/** The frame of every page. */
export async function frameFor(parts: FrameParts): Promise<Frame> {
  const { data } = parts;
  const [{ processes }, { state }] = await Promise.all([
    always(data.read(processesView, {})),
    always(data.read(reloadsView, {})),
  ]);
  return {
    ...bareFrame(parts),
    gateway: gatewayState(processes),
    configuration: state,
  };
}
