import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { duration, number, percent } from '../html/format.ts';
import * as ui from '../html/parts.ts';
import { type Html, html, pageOf } from '../html/parts.ts';
import * as m from '../schema/merge.ts';
import { view } from '../schema/view.ts';

const lastEvent = z.object({
  source: z.enum(['backchannel_logout', 'shared_signals', 'webhook', 'call']),
  event: z.string(),
  at: m.time.describe('When it arrived.'),
  lag_ms: z.number().describe('How long before that it happened.'),
});
m.mergedBy(lastEvent, (all) => m.mergeMembers(lastEvent, all.toSorted(m.newestFirst('at'))));

const events = z.object({
  backchannel_logout: z.boolean().describe('Whether logout tokens are received.'),
  transmitter: m.text.describe('Whose Security Event Tokens are received.'),
  webhook: m.text.describe("The webhook's format: a preset's name, or `own`."),
  revoke: z.boolean().describe('Whether revoke calls are received.'),
  since: m.known(m.latestTime).describe('From when on every event is known.'),
  staleness_ms: m.longest.describe(
    "How long ago the gateways' shared log was last read to its end. Null if there is only one gateway.",
  ),
  last: m.known(lastEvent),
  counts: m.counted.describe('Received, by source and result.'),
  late: m.total.describe('Events whose time is more than a day before they were sent.'),
});

const breakerStates = ['closed', 'half-open', 'open'] as const;

const introspection = z.object({
  url: z.string().describe('The endpoint, with variable names instead of values.'),
  breaker: m
    .mergedBy(z.enum(breakerStates), (all) => m.first(breakerStates.toReversed().filter((one) => all.includes(one))))
    .describe('`open`: calls are paused, because too many failed.'),
  last: m.known(m.latestTime).describe('When a call last ended.'),
  calls: m.total,
  failures: m.total.describe('Calls without a usable answer. Their tokens get 503.'),
  hits: m.total.describe('Requests whose token had an answer in the cache.'),
  failure: m.known(z.string()).describe('Why the last call failed. Null if it succeeded.'),
});

const issuer = m.fromWorst(
  namedObject('Issuer', {
    issuer: z.string(),
    name: m.text,
    provider: m.text,
    source: z.string().describe("The URL or file of the issuer's keys, with variable names instead of values."),
    state: m.since,
    keys: z.array(
      z.object({
        kid: z.string(),
        algorithm: z.string(),
        since: m.time.describe('When this process loaded the key.'),
      }),
    ),
    confirmed: m.time.nullable().describe('When the key set was last confirmed.'),
    next_fetch: m.time.nullable(),
    fetches: m.total,
    failed_fetches: m.total,
    failure: z
      .object({ reason: z.string(), in_a_row: m.count })
      .nullable()
      .describe('The last failure. Null unless fetches fail.'),
    ignored: z.array(z.object({ kid: m.text, reason: z.string() })).describe('Unusable keys.'),
    verified: m.total.describe('Verified tokens, not requests, because a verified token is cached.'),
    refused: m.counted.describe('Tokens that failed verification, by error code.'),
    events: m.known(events).describe('The events that it sends. Null without `events`.'),
    introspection: m.known(introspection).describe('How it answers about opaque tokens. Null without `introspection`.'),
  }),
  ['current', 'cannot be refreshed', 'none'],
);
export type Issuer = z.output<typeof issuer>;

const gatewayKey = z.object({
  kid: z.string(),
  algorithm: z.string(),
  state: z.enum(['in use', 'next', 'replaced', 'expired']),
  from: m.time.describe('When the key becomes usable. The gateway publishes it earlier.'),
  until: m.time.nullable().describe('When the key expires. Null if it is usable until it is retired.'),
});

export const issuersView = view(
  'State',
  '/api/issuers',
  'listIssuers',
  'Token issuers: their keys, and how many tokens were verified and refused',
  z.object({
    issuers: m.listOf(issuer, (one) => one.issuer),
    gateway_keys: z
      .array(gatewayKey)
      .describe("The gateway's own keys, for signing identity headers, for key agreement, and for identity tokens."),
    unknown: m.counted.describe('Refused tokens that are malformed or name none of these issuers.'),
    refused_requests: m
      .listOf(z.object({ code: z.string(), title: z.string(), count: m.total }), ({ code }) => code, m.mostFirst)
      .describe('Requests on all routes that were refused because of their token.'),
    cache: z.object({ size: m.total, hits: m.total, misses: m.total, refused_from_memory: m.total }),
  }),
);

export const issuersPage = pageOf(issuersView, ({ issuers, gateway_keys, unknown, refused_requests, cache }, nowMs) => {
  const lookups = cache.hits + cache.misses;
  return html`${issuers.length === 0 ? html`<p class="lead">The configuration trusts no issuers.</p>` : issuers.map((one) => issuerPart(one, nowMs))}
${ui.section('Gateway keys', gatewayKeyTable(gateway_keys, nowMs), 'services verify identity headers and identity tokens with these')}
<div class="columns stack">${ui.tableCard(
    'Requests refused because of their token',
    [
      {
        label: 'Code',
        kind: 'main',
        cell: (one) => ui.link('/console/requests', ui.code(one.code), { code: one.code }),
      },
      { label: 'Requests', kind: 'number', cell: (one) => number(one.count) },
      { label: 'Public text', cell: ({ title }) => title },
    ],
    refused_requests,
    'None since the gateway started.',
    'on all routes, since the gateway started',
  )}${ui.section(
    'Verified token cache',
    ui.definitions([
      ['Held', number(cache.size)],
      ['Found', `${number(cache.hits)} (${percent(cache.hits, lookups)})`],
      ['Not cached, so verified', number(cache.misses)],
      ['Refusals remembered', number(cache.refused_from_memory)],
      ['Refused, from no configured issuer', reasons(unknown)],
    ]),
  )}</div>`;
});

const gatewayKeyTable = (keys: readonly z.output<typeof gatewayKey>[], nowMs: number): Html =>
  ui.table(
    'Gateway keys',
    [
      { label: 'Key', kind: 'main', cell: ({ kid }) => ui.code(kid) },
      { label: 'Algorithm', cell: ({ algorithm }) => algorithm },
      { label: 'State', cell: ({ state }) => ui.pill(state, state === 'in use' ? 'good' : 'quiet') },
      { label: 'From', cell: ({ from }) => (Date.parse(from) === 0 ? 'always' : ui.ago(from, nowMs)) },
      { label: 'Until', cell: ({ until }) => (until === null ? 'retired' : ui.ago(until, nowMs)) },
    ],
    keys,
    'The gateway has no keys.',
  );

function issuerPart(one: Issuer, nowMs: number): Html {
  const { issuer, name, provider, source, state, keys, ignored, confirmed, next_fetch, failure } = one;
  const label = [name, provider].filter((part) => part !== null).join(', ');
  return ui.section(
    issuer,
    html`<div class="columns stack">${ui.definitions([
      ['Name, provider', label || null],
      ['Keys from', source],
      ['Confirmed', confirmed === null ? 'never' : ui.ago(confirmed, nowMs)],
      ['Next fetch', next_fetch === null ? 'none is planned' : ui.ago(next_fetch, nowMs)],
      ['Fetches', `${number(one.fetches)}, ${number(one.failed_fetches)} failed`],
      [
        'Failing',
        failure &&
          html`<span class="why">${failure.reason}</span> <span class="muted">${number(failure.in_a_row)} in a row</span>`,
      ],
      ['Tokens verified', number(one.verified)],
      ['Tokens refused', reasons(one.refused)],
      ...eventRows(one.events, nowMs),
      ...introspectionRows(one.introspection, nowMs),
    ])}<div>${ui.table(
      `Keys from ${issuer}`,
      [
        { label: 'Key', kind: 'main', cell: ({ kid }) => ui.code(kid) },
        { label: 'Algorithm', cell: ({ algorithm }) => algorithm },
        { label: 'Loaded for', cell: ({ since }) => ui.forTime(since, nowMs) },
      ],
      keys,
      'There is no usable key.',
    )}${
      ignored.length === 0
        ? ''
        : html`<h3>Ignored</h3>${ui.table(
            `Ignored keys from ${issuer}`,
            [
              { label: 'Key', kind: 'main', cell: ({ kid }) => ui.code(kid ?? 'without a kid') },
              { label: 'Why', cell: ({ reason }) => ui.code(reason) },
            ],
            ignored,
            '',
          )}`
    }</div></div>`,
    ui.stateSince(state, nowMs),
  );
}

function eventRows(events: Issuer['events'], nowMs: number): ui.Definitions {
  if (events === null) return [];
  const { backchannel_logout, transmitter, webhook, revoke, since, staleness_ms, last, counts, late } = events;
  const sources = [
    backchannel_logout && 'back-channel logout',
    transmitter !== null && `Shared Signals of ${transmitter}`,
    webhook !== null && `webhook (${webhook})`,
    revoke && 'revoke calls',
  ];
  return [
    ['Events by', sources.filter((source) => source !== false).join(', ')],
    [
      'Last event',
      last &&
        html`${ui.code(last.event)} by ${last.source.replace('_', ' ')} ${ui.ago(last.at, nowMs)} <span class="muted">lag ${duration(last.lag_ms)}</span>`,
    ],
    ['Events known since', since && ui.ago(since, nowMs)],
    ['Events of other gateways read', staleness_ms === null ? null : `${duration(staleness_ms)} ago`],
    ['Events received', reasons(counts)],
    ['Events sent a day late', late === 0 ? null : html`<span class="why">${number(late)}</span>`],
  ];
}

function introspectionRows(endpoint: Issuer['introspection'], nowMs: number): ui.Definitions {
  if (endpoint === null) return [];
  const { url, breaker, last, calls, failures, hits, failure } = endpoint;
  return [
    ['Opaque tokens at', url],
    ['Last call', last === null ? 'none yet' : ui.ago(last, nowMs)],
    ['Calls', `${number(calls)}, ${number(failures)} failed`],
    ['Answers from the cache', number(hits)],
    ['Calls paused', breaker === 'closed' ? null : ui.pill(breaker, 'bad')],
    ['Last call failed', failure && html`<span class="why">${failure}</span>`],
  ];
}

const reasons = (counts: Issuer['refused']): Html =>
  counts.length === 0
    ? html`none`
    : html`<ul class="rules">${counts.map(({ name, count }) => html`<li>${ui.code(name)} ${number(count)}</li>`)}</ul>`;
