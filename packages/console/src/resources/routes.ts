import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { milliseconds, number, percent, rate } from '../html/format.ts';
import * as ui from '../html/parts.ts';
import { type ConsolePage, type Html, html } from '../html/parts.ts';
import * as m from '../schema/merge.ts';
import { view } from '../schema/view.ts';
import { requestTable, toneOfStatus } from './request.ts';
import { requestsView } from './requests.ts';
import { traffic, trafficTiles } from './traffic.ts';

const route = namedObject('Route', {
  name: z.string(),
  listener: z.enum(['public', 'internal']),
  path: z.string(),
  methods: z.array(z.string()),
  upstream: z.string(),
  auth: z.string(),
  rules: z.array(z.string()).describe('The compiled rules, in the order in which they are evaluated.'),
  requests: m.total.describe('Requests since the process started.'),
  refused: m.total.describe('Requests that the gateway refused since the process started.'),
  failed: m.total.describe('Requests with a 5xx response from the gateway or the service since the process started.'),
});
export type Route = z.output<typeof route>;

/** The maximum number of routes in a response. */
export const routesPerPage = 200;

const routeFilters = {
  q: z.string().optional().describe("Part of a route's name, path, rules or upstream."),
  offset: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .optional()
    .describe(
      `The index of the first route. A response has at most ${routesPerPage}. An index after the last route returns the last page.`,
    ),
};

const routesResponse = z.object({
  routes: m.listOf(route, ({ name }) => name),
  total: m.count.describe('The number of routes that match.'),
  configured: m.count,
  offset: m.count,
  page_size: m.count.describe('The maximum number of routes in a response.'),
  unmatched: m.total.describe('Requests refused because they matched no route.'),
});

export const routesView = view(
  'Traffic',
  '/api/routes',
  'listRoutes',
  'The current routes, with their rules and totals',
  routesResponse,
  routeFilters,
);

const meaning = { code: z.string(), fault: z.string(), status: z.int(), title: z.string() };

export const routeView = view(
  'Traffic',
  '/api/routes/:name',
  'readRoute',
  'One route: rules, traffic, and refusals by code',
  z.object({
    route,
    definition: z.record(z.string(), z.unknown()).describe("The route's keys in the file, with their defaults."),
    traffic,
    statuses: m.counted,
    refusals: m.listOf(z.object({ ...meaning, count: m.total }), ({ code }) => code, m.mostFirst),
  }),
);

const refusal = namedObject('Refusal', {
  route: m.text.describe('The route. Null if no route matched.'),
  ...meaning,
  count: m.total.describe('Refusals since the process started.'),
  last: m.latestTime,
});
export type CountedRefusal = z.output<typeof refusal>;

export const refusalsView = view(
  'Traffic',
  '/api/refusals',
  'listRefusals',
  'Refusals by route and code, with the time of the last refusal, newest first',
  z.object({
    refusals: m.atMost(
      500,
      m.listOf(refusal, ({ route: name, code }) => `${name ?? ''} ${code}`, m.newestFirst('last')),
    ),
  }),
);

export const routesPage: ConsolePage = {
  path: '/console/routes',
  page: async ({ read, query }) => ({ body: routeTable(await read(routesView, query), query.q ?? '') }),
};

type RouteList = z.output<typeof routesResponse>;

function routeTable(list: RouteList, q: string): Html {
  const { routes, total, configured, unmatched } = list;
  return html`<form class="filters row" method="get" action="/console/routes" role="search">${ui.workerField}
<label>Search <input type="search" name="q" id="q" value="${q}" placeholder="name, path, rule or upstream"></label>
<button type="submit">Search</button>${q === '' ? '' : html`<a class="button" href="${ui.to('/console/routes')}">Clear</a>`}</form>
<p class="lead">${number(total)} of ${number(configured)} routes. ${number(unmatched)} requests matched no route.</p>
<section class="card">${ui.table('Routes', columns, routes, 'No route contains this text in its name, path, rules or upstream.')}</section>
${pager(list, q)}`;
}

const none = html`<span class="muted">–</span>`;
const share = (part: number, whole: number) => (part === 0 ? none : percent(part, whole));

const columns = [
  { label: 'Route', kind: 'main' as const, cell: ({ name }: Route) => ui.routeLink(name) },
  {
    label: 'Path',
    cell: ({ methods, path, listener }: Route) =>
      html`<code class="path">${path}</code><span class="methods muted">${methods.join(' ')}${listener === 'internal' ? ' · internal' : ''}</span>`,
  },
  {
    label: 'Rules',
    cell: ({ rules }: Route) => html`<ul class="rules">${rules.map((rule) => html`<li>${rule}</li>`)}</ul>`,
  },
  { label: 'Upstream', cell: ({ upstream }: Route) => ui.upstreamLink(upstream) },
  {
    label: 'Requests',
    kind: 'number' as const,
    cell: ({ requests }: Route) => (requests === 0 ? none : number(requests)),
  },
  { label: 'Refused', kind: 'number' as const, cell: ({ refused, requests }: Route) => share(refused, requests) },
  { label: '5xx', kind: 'number' as const, cell: ({ failed, requests }: Route) => share(failed, requests) },
];

function pager({ routes, total, offset, page_size }: RouteList, q: string): Html | string {
  const shown = routes.length;
  if (shown === total) return '';
  const page = (from: number, text: string) => ui.link('/console/routes', text, { q, offset: String(from) });
  return html`<nav class="row" aria-label="Pages">${offset > 0 ? page(Math.max(0, offset - page_size), 'Previous') : ''}
<span>${number(offset + 1)} to ${number(offset + shown)} of ${number(total)}</span>${offset + shown < total ? page(offset + page_size, 'Next') : ''}</nav>`;
}

export const routePage: ConsolePage = {
  path: '/console/routes/:name',
  missing: ({ name = '' }) => `The current configuration has no route ${name}.`,
  async page({ read, query, nowMs }) {
    const { route, definition, traffic: series, statuses, refusals } = await read(routeView, query);
    const { requests } = await read(requestsView, { route: query.name, worker: query.worker });
    const { name, path, methods, upstream, rules, listener } = route;
    const example = { method: methods[0] ?? 'GET', path: examplePath(path) };
    const { p50, p95, p99 } = series.last_minute.latency_ms;
    return {
      title: `Route ${name}`,
      body: html`<p class="lead">${ui.code(methods.join(' '))} ${ui.code(path)} to ${ui.upstreamLink(upstream)}, on the ${listener} listener. ${ui.link('/console/explain', 'Explain a request', example)}</p>
${trafficTiles(series)}
<div class="columns stack">${ui.section(
        'Rules',
        html`<ol class="rules numbered">${rules.map((rule) => html`<li>${ui.code(rule)}</li>`)}</ol>`,
        html`in the order in which they are evaluated`,
      )}${ui.tableCard(
        'Refusals by code',
        [
          {
            label: 'Code',
            kind: 'main',
            cell: (one) => ui.link('/console/requests', ui.code(one.code), { route: name, code: one.code }),
          },
          { label: 'Status', cell: (one) => ui.pill(String(one.status), toneOfStatus(one.status)) },
          { label: 'Fault', cell: (one) => one.fault },
          { label: 'Count', kind: 'number', cell: (one) => number(one.count) },
          { label: 'Public text', cell: (one) => one.title },
        ],
        refusals,
        'The gateway has refused no request on this route since it started.',
      )}</div>
<div class="columns stack">${ui.section(
        'Totals since the gateway started',
        ui.definitions([
          ['Requests', number(route.requests)],
          ['Per second, last minute', rate(series.last_minute.requests_per_sec)],
          ['Latency, last minute', `p50 ${milliseconds(p50)}, p95 ${milliseconds(p95)}, p99 ${milliseconds(p99)}`],
          ...statuses.map(
            (one) => [one.name === '0' ? 'Client left' : `Status ${one.name}`, number(one.count)] as const,
          ),
        ]),
      )}${ui.section('Definition', ui.definitions(Object.entries(definition).map(([key, value]) => [key, html`<code>${JSON.stringify(value)}</code>`])))}</div>
${ui.section('Last requests', requestTable(requests.slice(0, 20), 'None of the last requests was for this route.', nowMs), ui.link('/console/requests', 'All', { route: name }))}`,
    };
  },
};

const examplePath = (path: string): string => path.replace(/\*\*$/, '1').replaceAll(/:[^/]+/g, '1');
