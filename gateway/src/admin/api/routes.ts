import { type Answers, type Query, type Route as RouteItem, routesPerPage, sum } from '@countersign/console';
import type { Route } from '../../config/config.ts';
import { type Code, errorTable } from '../../errors.ts';
import { inheritedText } from '../../explain/route-text.ts';
import { noRouteName } from '../../metrics/refusal-counts.ts';
import { compilePolicy } from '../../routing/policy.ts';
import { describeRoute, timeOf } from '../describe.ts';
import { type ConsoleSources, countedOf } from '../sources.ts';

export function readRoutes(sources: ConsoleSources, { q = '', offset = '0' }: Query): Answers['/api/routes'] {
  const { routes } = sources.current().config;
  const found = routes.filter((route) => matches(route, q.toLowerCase()));
  const from = Number(offset) < found.length ? Number(offset) : lastPageOf(found.length);
  const totals = totalsByRoute(sources);
  return {
    routes: found.slice(from, from + routesPerPage).map((route) => routeOf(route, totals.get(route.name))),
    total: found.length,
    configured: routes.length,
    offset: from,
    page_size: routesPerPage,
    // Requests that the gateway answers itself have no route either, so they are not counted here.
    unmatched: sources.traffic.refusals.ofRoute(noRouteName).get('no_route')?.count ?? 0,
  };
}

const lastPageOf = (total: number): number => Math.floor(Math.max(0, total - 1) / routesPerPage) * routesPerPage;

export function readRoute(sources: ConsoleSources, { name = '' }: Query): Answers['/api/routes/:name'] | undefined {
  const { traffic, current, nowMs } = sources;
  const route = current().config.routes.find((one) => one.name === name);
  if (route === undefined) return undefined;
  const refused = [...traffic.refusals.ofRoute(name)].map(([code, { count }]) => [code, count] as const);
  return {
    route: routeOf(route, totalsByRoute(sources).get(name)),
    definition: { ...describeRoute(route), inherited: route.inherited.map(inheritedText) },
    traffic: traffic.history.ofRoute(name, nowMs()),
    statuses: countedOf(traffic.history.statuses().get(name) ?? []),
    refusals: countedOf(refused).map(({ name: code, count }) => ({ code, ...meaningOf(code), count })),
  };
}

type Totals = Pick<RouteItem, 'requests' | 'refused' | 'failed'>;

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

function routeOf(route: Route, totals: Totals = { requests: 0, refused: 0, failed: 0 }): RouteItem {
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

export function readRefusals({ traffic: { refusals } }: ConsoleSources): Answers['/api/refusals'] {
  const all = [...refusals.routes()].flatMap(([route, codes]) =>
    [...codes].map(([code, { count, lastMs }]) => ({
      route: route === noRouteName ? null : route,
      code,
      ...meaningOf(code),
      count,
      last: timeOf(lastMs),
    })),
  );
  return { refusals: all };
}

function meaningOf(code: string) {
  const { fault, status, title } = errorTable[code as Code] ?? errorTable.internal_error;
  return { fault, status, title };
}
