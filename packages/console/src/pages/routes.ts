import type { Answers, Route } from '@countersign/admin-api';
import { milliseconds, number, percent, rate } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import type { Page } from '../html/layout.ts';
import {
  code,
  definitions,
  link,
  pill,
  routeLink,
  section,
  table,
  tableCard,
  to,
  upstreamLink,
  workerField,
} from '../html/parts.ts';
import { requestTable, toneOfStatus } from './request-table.ts';
import { trafficTiles } from './traffic-tiles.ts';

/** The routes page: a table of the compiled routes. */
export function routesPage(list: Answers['/api/routes'], q: string): Html {
  const { routes, total, configured, unmatched } = list;
  return html`<form class="filters row" method="get" action="/console/routes" role="search">${workerField}
<label>Search <input type="search" name="q" id="q" value="${q}" placeholder="name, path, rule or upstream"></label>
<button type="submit">Search</button>${q === '' ? '' : html`<a class="clear" href="${to('/console/routes')}">Clear</a>`}</form>
<p class="lead">${number(total)} of ${number(configured)} routes. ${number(unmatched)} requests matched no route.</p>
${table('Routes', columns, routes, 'No route contains this text in its name, path, rules or upstream.')}
${pager(list, q)}`;
}

const none = html`<span class="muted">–</span>`;
const share = (part: number, whole: number) => (part === 0 ? none : percent(part, whole));

const columns = [
  { label: 'Route', kind: 'main' as const, cell: ({ name }: Route) => routeLink(name) },
  {
    label: 'Path',
    cell: ({ methods, path, listener }: Route) =>
      html`<code class="path">${path}</code><span class="methods muted">${methods.join(' ')}${listener === 'internal' ? ' · internal' : ''}</span>`,
  },
  {
    label: 'Rules',
    cell: ({ rules }: Route) => html`<ul class="rules">${rules.map((rule) => html`<li>${rule}</li>`)}</ul>`,
  },
  { label: 'Upstream', cell: ({ upstream }: Route) => upstreamLink(upstream) },
  {
    label: 'Requests',
    kind: 'number' as const,
    cell: ({ requests }: Route) => (requests === 0 ? none : number(requests)),
  },
  { label: 'Refused', kind: 'number' as const, cell: ({ refused, requests }: Route) => share(refused, requests) },
  { label: '5xx', kind: 'number' as const, cell: ({ failed, requests }: Route) => share(failed, requests) },
];

function pager({ routes, total, offset, page_size }: Answers['/api/routes'], q: string): Html | string {
  const shown = routes.length;
  if (shown === total) return '';
  const page = (from: number, text: string) => link('/console/routes', text, { q, offset: String(from) });
  return html`<nav class="pager row" aria-label="Pages">${offset > 0 ? page(Math.max(0, offset - page_size), 'Previous') : ''}
<span>${number(offset + 1)} to ${number(offset + shown)} of ${number(total)}</span>${offset + shown < total ? page(offset + page_size, 'Next') : ''}</nav>`;
}

/** The page for one route, with its last requests. */
export function routePage(
  { route, definition, traffic, statuses, refusals }: Answers['/api/routes/:name'],
  { requests }: Answers['/api/requests'],
  nowMs: number,
): Page {
  const { name, path, methods, upstream, rules, listener } = route;
  const example = { method: methods[0] ?? 'GET', path: examplePath(path) };
  const { p50, p95, p99 } = traffic.last_minute.latency_ms;
  return {
    title: `Route ${name}`,
    body: html`<p class="lead">${code(methods.join(' '))} ${code(path)} to ${upstreamLink(upstream)}, on the ${listener} listener. ${link('/console/explain', 'Explain a request', example)}</p>
${trafficTiles(traffic)}
<div class="columns stack">${section(
      'Rules',
      html`<ol class="rules numbered">${rules.map((rule) => html`<li>${code(rule)}</li>`)}</ol>`,
      html`in the order in which they are evaluated`,
    )}${tableCard(
      'Refusals by code',
      [
        {
          label: 'Code',
          kind: 'main',
          cell: (one) => link('/console/requests', code(one.code), { route: name, code: one.code }),
        },
        { label: 'Status', cell: (one) => pill(String(one.status), toneOfStatus(one.status)) },
        { label: 'Fault', cell: (one) => one.fault },
        { label: 'Count', kind: 'number', cell: (one) => number(one.count) },
        { label: 'Public text', cell: (one) => one.title },
      ],
      refusals,
      'The gateway has refused no request on this route since it started.',
    )}</div>
<div class="columns stack">${section(
      'Totals since the gateway started',
      definitions([
        ['Requests', number(route.requests)],
        ['Per second, last minute', rate(traffic.last_minute.requests_per_sec)],
        ['Latency, last minute', `p50 ${milliseconds(p50)}, p95 ${milliseconds(p95)}, p99 ${milliseconds(p99)}`],
        ...statuses.map((one) => [one.name === '0' ? 'Client left' : `Status ${one.name}`, number(one.count)] as const),
      ]),
    )}${section('Definition', definitions(Object.entries(definition).map(([key, value]) => [key, html`<code>${JSON.stringify(value)}</code>`])))}</div>
${section('Last requests', requestTable(requests.slice(0, 20), 'None of the last requests was for this route.', nowMs), link('/console/requests', 'All', { route: name }))}`,
  };
}

/** Returns an example path that the pattern matches. */
const examplePath = (path: string): string => path.replace(/\*\*$/, '1').replaceAll(/:[^/]+/g, '1');
