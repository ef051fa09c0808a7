import { z } from 'zod';
import type { Route } from '../../config/config.ts';
import { noRouteName } from '../../metrics/refusal-counts.ts';
import { compilePolicy } from '../../routing/policy.ts';
import { describeRoute } from '../describe.ts';
import { byName, combine, type Rule, sum } from './merge.ts';
import { meaningOf } from './refusals.ts';
import { describeTraffic, mergeTraffic, traffic } from './traffic.ts';
import { count, counted, countedOf, mergeCounted, mostFirst } from './values.ts';
import { type ConsoleSources, defineView } from './view.ts';

const listed = z
  .object({
    name: z.string(),
    listener: z.enum(['public', 'internal']),
    path: z.string(),
    methods: z.array(z.string()),
    upstream: z.string(),
    auth: z.string(),
    rules: z.array(z.string()).describe('The compiled rules, in the order in which they refuse.'),
    requests: count.describe('Since the process started, like the two below.'),
    refused: count.describe('By the gateway.'),
    failed: count.describe('Answered with 5xx, by the gateway or the service.'),
  })
  .meta({ id: 'Route' });
type ListedRoute = z.output<typeof listed>;

const mergeListed: Rule<ListedRoute> = combine({ requests: sum, refused: sum, failed: sum });

const pageSize = 200;

const routeList = z.object({
  routes: z.array(listed),
  total: count.describe('All routes that the search finds.'),
  configured: count,
  offset: count,
  page_size: count.describe('The maximum number of routes in a response.'),
  unmatched: count.describe('Requests that were refused because they matched no route.'),
});

export const routesView = defineView({
  path: '/routes',
  operationId: 'listRoutes',
  tag: 'Traffic',
  summary: 'The routes in force, with their rules and totals',
  query: {
    q: z.string().optional().describe('A part of a name, a path, a rule or an upstream.'),
    offset: z
      .string()
      .regex(/^\d{1,9}$/, 'must be a whole number')
      .optional()
      .describe(`The first one; a response has at most ${pageSize}. After the last route: the last page.`),
  },
  response: routeList,
  read(sources, { q = '', offset = '0' }) {
    const { routes } = sources.current().config;
    const found = routes.filter((route) => matches(route, q.toLowerCase()));
    const from = Number(offset) < found.length ? Number(offset) : lastPageOf(found.length);
    const totals = totalsByRoute(sources);
    return {
      routes: found.slice(from, from + pageSize).map((route) => listedOf(route, totals.get(route.name) ?? noTotals)),
      total: found.length,
      configured: routes.length,
      offset: from,
      page_size: pageSize,
      // The requests that the gateway answers itself have no route either.
      unmatched: sources.traffic.refusals.ofRoute(noRouteName).get('no_route')?.count ?? 0,
    };
  },
  merge: combine({ routes: byName(({ name }) => name, mergeListed), unmatched: sum }),
});

const lastPageOf = (total: number): number => Math.floor(Math.max(0, total - 1) / pageSize) * pageSize;

const oneRoute = z.object({
  route: listed,
  definition: z.record(z.string(), z.unknown()).describe('The keys of the file, with their defaults.'),
  traffic,
  statuses: counted,
  refusals: z.array(z.object({ code: z.string(), fault: z.string(), status: z.int(), title: z.string(), count })),
});
type OneRoute = z.output<typeof oneRoute>;

export const routeView = defineView({
  path: '/routes/:name',
  operationId: 'readRoute',
  tag: 'Traffic',
  summary: 'One route: its rules, its traffic, its refusals by code',
  response: oneRoute,
  read(sources, { name = '' }) {
    const route = sources.current().config.routes.find((one) => one.name === name);
    if (route === undefined) return undefined;
    const { traffic: kept, nowMs, startedAtMs } = sources;
    const statuses = kept.history.statuses().get(name) ?? [];
    return {
      route: listedOf(route, totalsByRoute(sources).get(name) ?? noTotals),
      definition: describeRoute(route),
      traffic: describeTraffic(kept.history.ofRoute(name, nowMs()), nowMs() - startedAtMs),
      statuses: countedOf(statuses),
      refusals: refusalsOf([...kept.refusals.ofRoute(name)].map(([code, { count: number }]) => [code, number])),
    };
  },
  merge: combine({
    route: mergeListed,
    traffic: mergeTraffic,
    statuses: mergeCounted,
    refusals: mostFirst(byName(({ code }) => code, combine({ count: sum }))),
  }),
});

/** Codes with their meaning, most first. */
function refusalsOf(codes: Iterable<readonly [code: string, count: number]>): OneRoute['refusals'] {
  return countedOf(codes).map(({ name: code, count: number }) => ({ code, ...meaningOf(code), count: number }));
}

type Totals = Readonly<{ requests: number; refused: number; failed: number }>;
const noTotals: Totals = { requests: 0, refused: 0, failed: 0 };

function totalsByRoute({ traffic: { history, refusals } }: ConsoleSources): ReadonlyMap<string, Totals> {
  const totals = new Map<string, Totals>();
  for (const [name, statuses] of history.statuses()) {
    const all = [...statuses];
    totals.set(name, {
      requests: sum(all.map(([, number]) => number)),
      refused: sum([...refusals.ofRoute(name).values()].map((one) => one.count)),
      failed: sum(all.filter(([status]) => status >= '500').map(([, number]) => number)),
    });
  }
  return totals;
}

function listedOf(route: Route, totals: Totals): ListedRoute {
  const { name, listener, path, methods, upstream, auth } = describeRoute(route);
  const rules = compilePolicy(route).map(({ text }) => text);
  return { name, listener, path, methods: [...methods], upstream, auth, rules, ...totals };
}

function matches(route: Route, text: string): boolean {
  if (text === '') return true;
  const { name, path, methods, upstream } = route;
  const words = [name, path, ...methods, upstream.name, ...compilePolicy(route).map((rule) => rule.text)];
  return words.some((word) => word.toLowerCase().includes(text));
}
