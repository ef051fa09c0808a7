import { z } from 'zod';
import { exact, milliseconds } from '../html/format.ts';
import * as ui from '../html/parts.ts';
import { type ConsolePage, type Html, html } from '../html/parts.ts';
import { atMost, joined, newestFirst } from '../schema/merge.ts';
import { type Query, view } from '../schema/view.ts';
import { explainLink } from './explain-request.ts';
import { type Request, requestSchema, requestTable, routeOf, statusOf, toneOfStatus } from './request.ts';

export const outcomes = ['refused', 'failed', 'served'] as const;

const filterTime = z.iso
  .datetime({ offset: true, error: 'must be a time with an offset, such as 2026-11-26T09:41:07Z' })
  .optional();

const requestFilters = {
  route: z.string().optional(),
  status: z
    .string()
    .regex(/^(?:[1-5]xx|[1-5]\d\d|0)$/, 'must be a status such as 403, or a class such as 4xx')
    .optional()
    .describe('A status, or a class such as `4xx`. 0 means that the client disconnected.'),
  code: z.string().optional(),
  user: z.string().optional().describe("A user id, or a refused token's subject."),
  tenant: z.string().optional(),
  id: z.string().optional().describe('The start of a request id.'),
  since: filterTime.describe('Only requests that ended at this time or later (RFC 3339).'),
  until: filterTime.describe('Only requests that ended before this time (RFC 3339).'),
  outcome: z.enum(outcomes, { error: `must be one of ${outcomes.join(', ')}` }).optional(),
};

const requestsResponse = z.object({ requests: atMost(1_500, joined(requestSchema, newestFirst('at'))) });

export const requestsView = view(
  'Traffic',
  '/api/requests',
  'listRequests',
  'The last 500 requests, and the last 250 refusals of each kind, newest first',
  requestsResponse,
  requestFilters,
);

export const requestView = view(
  'Traffic',
  '/api/requests/:id',
  'readRequest',
  'One of the last requests: the decision, the upstream, and how long each part took',
  requestSchema,
);

const fields = [
  ['id', 'Request id'],
  ['status', 'Status'],
  ['code', 'Code'],
  ['route', 'Route'],
  ['user', 'User'],
  ['tenant', 'Tenant'],
  ['since', 'Since'],
  ['until', 'Until'],
] as const;
const filterNames: readonly string[] = [...fields.map(([name]) => name), 'outcome'];
const timeHint = html`placeholder="2026-11-26T09:41Z" title="A time with an offset, such as 2026-11-26T09:41:07Z"`;
const hints: Readonly<Record<string, Html>> = {
  status: html`placeholder="403 or 4xx" pattern="[1-5]xx|[1-5][0-9][0-9]|0" title="A status such as 403, or a class such as 4xx"`,
  user: html`placeholder="a user id" title="The subject of the token, not an email address"`,
  since: timeHint,
  until: timeHint,
};
const shownAtOnce = 50;

export const requestsPage: ConsolePage = {
  path: '/console/requests',
  page: async ({ read, query, nowMs }) => ({ body: requestList(await read(requestsView, query), query, nowMs) }),
};

function requestList({ requests }: z.output<typeof requestsResponse>, query: Query, nowMs: number): Html {
  const shown = query.show === 'all' ? requests : requests.slice(0, shownAtOnce);
  const more = { ...(query as Record<string, string>), show: 'all' };
  const isFiltered = filterNames.some((name) => query[name]);
  return html`<form class="filters row" method="get" action="/console/requests" role="search">${ui.workerField}
<label>Outcome <select name="outcome" id="outcome"><option value="">all</option>${outcomes.map(
    (one) => html`<option ${query.outcome === one ? html`selected` : ''}>${one}</option>`,
  )}</select></label>
${fields.map(([name, label]) => html`<label>${label} <input name="${name}" id="${name}" value="${query[name] ?? ''}" ${hints[name] ?? ''} autocomplete="off" spellcheck="false"></label>`)}
<button type="submit">Filter</button>${isFiltered ? html`<a class="button" href="${ui.to('/console/requests')}">Clear</a>` : ''}</form>
<p class="lead">${isFiltered ? `${requests.length} found in` : `${requests.length}:`} the last 500 requests and the last 250 refusals of each kind, newest first. Times are UTC. User and tenant are ids from the token: the gateway knows no email addresses.</p>
<section class="card">${requestTable(shown, isFiltered ? 'None of the last requests matches these filters.' : 'No request has arrived since the gateway started.', nowMs)}</section>
${shown.length === requests.length ? '' : html`<p>${ui.link('/console/requests', `Show all ${requests.length}`, more)}</p>`}`;
}

export const requestPage: ConsolePage = {
  path: '/console/requests/:id',
  missing: ({ id = '' }) =>
    `The gateway keeps only the last requests and refusals, and loses them when it restarts. Search the log for ${id}.`,
  async page({ read, query }) {
    const item = await read(requestView, query);
    return {
      // A UUIDv7 begins with its time, which is equal for all requests within a minute, so the title shows its end.
      title: `Request …${item.id.slice(-8)}`,
      live: false,
      body: html`<p class="lead">${ui.code(item.method)} <code class="path">${item.path}</code> ${statusOf(item)}</p>
${verdict(item)}
<p>${explainLink(item)}</p>
<div class="columns stack">${ui.section('Decision', ui.definitions(decision(item)))}${ui.section('Caller', ui.definitions(caller(item)))}</div>
${ui.section('Time', timing(item))}`,
    };
  },
};

const detailLabels: Readonly<Record<string, string>> = {
  why: 'Why',
  reason: 'Why',
  claim: 'Claim',
  wanted: 'Expected',
  found: 'Found',
  issuer: 'Issuer',
  subject: 'Token subject',
  kid: 'Key',
};

/** Says in one sentence why the request ended as it did. */
function verdict({ code: refusal, title, rule, fault, upstream, status, detail, aborted }: Request): Html {
  if (refusal === null) {
    const end = aborted ? ', and the response was cut off' : '';
    return html`<p class="card verdict ${toneOfStatus(status)}">${status === 0 ? 'The client disconnected before a response started.' : `${upstream === null ? 'The gateway' : `The service ${upstream}`} responded with ${status}${end}.`}</p>`;
  }
  const why = Object.entries(detail);
  const tone = fault === 'caller' ? 'warn' : 'bad';
  return html`<section class="card verdict ${tone}"><h2>${ui.pill('refused', tone)} ${ui.code(refusal)}</h2>
<p>${title ?? ''}</p>${rule === null ? '' : html`<p>Rule: ${ui.code(rule)}</p>`}
${why.length === 0 ? '' : ui.definitions(why.map(([name, value]) => [detailLabels[name] ?? name, value]))}</section>`;
}

function decision(item: Request): ui.Definitions {
  const { id, at, rule, code: refusal, upstream, target, attempts, retried_after, error, fault } = item;
  return [
    ['Request id', ui.code(id)],
    ['Ended', exact(at)],
    ['Route', routeOf(item)],
    // The verdict above shows the rule that refused.
    ['Allowed by', refusal !== null ? null : rule === null ? '–' : ui.code(rule)],
    ['Fault', fault],
    ['Upstream', upstream === null ? '–' : ui.upstreamLink(upstream)],
    ['Target', target ?? 'not sent'],
    ['Attempts', String(attempts ?? 0)],
    ['Retried after', retried_after && ui.code(retried_after)],
    ['Error', error && ui.code(error)],
  ];
}

function caller(item: Request): ui.Definitions {
  return [
    ['Identity', item.identity ?? 'not identified'],
    ['User', item.user_id ?? '–'],
    ['Role', item.role],
    ['Tenant', item.tenant_id ?? '–'],
    ['Address', item.ip ?? '–'],
    ['Client', item.client_id],
    ['Actor', item.actor],
    ['Scopes', item.scope.join(' ') || null],
    ...Object.entries(item.claims).map(([name, values]) => [`Claim ${name}`, values.join(', ')] as const),
    ['Issuer', item.issuer],
    ['Token', item.bound ? 'bound to a key' : null],
    ['Service', item.service_id],
    ['Original request', item.transaction_id && ui.code(item.transaction_id)],
  ];
}

const width = 600;

/** Shows the request's phases as consecutive bars. */
function timing({ code: refusal, total_ms, decided_ms, waited_ms, upstream_ms }: Request): Html {
  const elapsed = (decided_ms ?? 0) + (waited_ms ?? 0) + (upstream_ms ?? 0);
  const parts: readonly (readonly [string, number | null, string])[] = [
    ['Decide and sign', decided_ms, 'c-accent'],
    ['Wait for a connection', waited_ms, 'warn'],
    ['Wait for the service', upstream_ms, 'c-violet'],
    upstream_ms === null
      ? [
          refusal === null || decided_ms !== null ? 'Until the end' : 'Decide and refuse',
          Math.max(0, total_ms - elapsed),
          'warn',
        ]
      : ['Send the response', Math.max(0, total_ms - elapsed), 'good'],
  ];
  const known = parts.filter(([, ms]) => ms !== null);
  let from = 0;
  return html`<table class="timing"><tbody>${known.map(([label, ms, look]) => {
    const start = (from * width) / Math.max(total_ms, 0.01);
    from += ms ?? 0;
    const length = Math.max(1, ((ms ?? 0) * width) / Math.max(total_ms, 0.01));
    return html`<tr><th scope="row">${label}</th><td class="number">${milliseconds(ms)}</td><td class="bar"><svg viewBox="0 0 ${width} 10" preserveAspectRatio="none" aria-hidden="true">${ms === null ? '' : html`<rect class="bar ${look}" x="${start.toFixed(1)}" width="${length.toFixed(1)}" height="10"/>`}</svg></td></tr>`;
  })}<tr class="total"><th scope="row">Total</th><td class="number">${milliseconds(total_ms)}</td><td></td></tr></tbody></table>`;
}
