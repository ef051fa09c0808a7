import type { Answers, Issuer, Revocations } from '@countersign/admin-api';
import { ago, duration, exact, forTime, milliseconds, number, percent } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import { code, definitions, link, pill, section, stateSince, table, tableCard } from '../html/parts.ts';

/** The issuers page: the age of their keys, ignored keys, and which tokens are refused and why. */
export function issuersPage(
  { issuers, gateway_keys, unknown, refused_requests, cache }: Answers['/api/issuers'],
  nowMs: number,
): Html {
  const lookups = cache.hits + cache.misses;
  return html`${issuers.length === 0 ? html`<p class="empty">The configuration trusts no issuers.</p>` : issuers.map((one) => issuerPart(one, nowMs))}
${section('Gateway keys', gatewayKeyTable(gateway_keys, nowMs), 'services verify identity headers with these')}
<div class="columns stack">${tableCard(
    'Requests refused because of their token',
    [
      { label: 'Code', kind: 'main', cell: (one) => link('/console/requests', code(one.code), { code: one.code }) },
      { label: 'Requests', kind: 'number', cell: (one) => number(one.count) },
      { label: 'Public text', cell: ({ title }) => title },
    ],
    refused_requests,
    'None since the gateway started.',
    'on all routes, since the gateway started',
  )}${section(
    'Verified token cache',
    definitions([
      ['Held', number(cache.size)],
      ['Found', `${number(cache.hits)} (${percent(cache.hits, lookups)})`],
      ['Not cached, so verified', number(cache.misses)],
      ['Refusals remembered', number(cache.refused_from_memory)],
      ['Refused, from no configured issuer', reasons(unknown)],
    ]),
  )}</div>`;
}

export const gatewayKeyTable = (keys: Answers['/api/issuers']['gateway_keys'], nowMs: number): Html =>
  table(
    'Gateway keys',
    [
      { label: 'Key', kind: 'main', cell: ({ kid }) => code(kid) },
      { label: 'Algorithm', cell: ({ algorithm }) => algorithm },
      { label: 'State', cell: ({ state }) => pill(state, state === 'in use' ? 'good' : 'quiet') },
      { label: 'From', cell: ({ from }) => (Date.parse(from) === 0 ? 'always' : ago(from, nowMs)) },
      { label: 'Until', cell: ({ until }) => (until === null ? 'retired' : ago(until, nowMs)) },
    ],
    keys,
    'The gateway has no keys.',
  );

function issuerPart(one: Issuer, nowMs: number): Html {
  const { issuer, name, provider, source, state, keys, ignored, confirmed, next_fetch, failure } = one;
  const label = [name, provider].filter((part) => part !== null).join(', ');
  return section(
    issuer,
    html`<div class="columns stack">${definitions([
      ['Name, provider', label || null],
      ['Keys from', source],
      ['Confirmed', confirmed === null ? 'never' : ago(confirmed, nowMs)],
      ['Next fetch', next_fetch === null ? 'none is planned' : ago(next_fetch, nowMs)],
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
    ])}<div>${table(
      `Keys from ${issuer}`,
      [
        { label: 'Key', kind: 'main', cell: ({ kid }) => code(kid) },
        { label: 'Algorithm', cell: ({ algorithm }) => algorithm },
        { label: 'Loaded for', cell: ({ since }) => forTime(since, nowMs) },
      ],
      keys,
      'There is no usable key.',
    )}${
      ignored.length === 0
        ? ''
        : html`<h3>Ignored</h3>${table(
            `Ignored keys from ${issuer}`,
            [
              { label: 'Key', kind: 'main', cell: ({ kid }) => code(kid ?? 'without a kid') },
              { label: 'Why', cell: ({ reason }) => code(reason) },
            ],
            ignored,
            '',
          )}`
    }</div></div>`,
    stateSince(state, nowMs),
  );
}

/** The events that the issuer sends, if any. */
function eventRows(events: Issuer['events'], nowMs: number): readonly (readonly [string, Html | string | null])[] {
  if (events === null) return [];
  const { backchannel_logout, transmitter, since, staleness_ms, last, counts, late } = events;
  const sources = [
    backchannel_logout && 'back-channel logout',
    transmitter !== null && `Shared Signals of ${transmitter}`,
  ];
  return [
    ['Events by', sources.filter((source) => source !== false).join(', ')],
    [
      'Last event',
      last && html`${code(last.event)} ${ago(last.at, nowMs)} <span class="muted">lag ${duration(last.lag_ms)}</span>`,
    ],
    ['Events known since', since && ago(since, nowMs)],
    ['Events of other gateways read', staleness_ms === null ? null : `${duration(staleness_ms)} ago`],
    ['Events received', reasons(counts)],
    ['Events sent a day late', late === 0 ? null : html`<span class="why">${number(late)}</span>`],
  ];
}

/** The calls to the introspection endpoint, if the issuer has opaque tokens. */
function introspectionRows(
  endpoint: Issuer['introspection'],
  nowMs: number,
): readonly (readonly [string, Html | string | null])[] {
  if (endpoint === null) return [];
  const { url, breaker, last, calls, failures, hits, failure } = endpoint;
  return [
    ['Opaque tokens at', url],
    ['Last call', last === null ? 'none yet' : ago(last, nowMs)],
    ['Calls', `${number(calls)}, ${number(failures)} failed`],
    ['Answers from the cache', number(hits)],
    ['Calls paused', breaker === 'closed' ? null : pill(breaker, 'bad')],
    ['Last call failed', failure && html`<span class="why">${failure}</span>`],
  ];
}

const reasons = (counts: Issuer['refused']): Html =>
  counts.length === 0
    ? html`none`
    : html`<ul class="rules">${counts.map(({ name, count }) => html`<li>${code(name)} ${number(count)}</li>`)}</ul>`;

/** The revocations page: whether revocations are current, and how long they take. */
export function revocationsPage({ issuers, without }: Answers['/api/revocations'], nowMs: number): Html {
  return html`${issuers.map((one) => followedPart(one, nowMs))}${issuers.length === 0 ? html`<p class="empty">No issuer has a revocation feed.</p>` : ''}${
    without.length === 0
      ? ''
      : section(
          'Issuers without a feed',
          html`<ul>${without.map((one) => html`<li>${one}</li>`)}</ul><p class="muted">Their tokens are valid until they expire.</p>`,
        )
  }`;
}

function followedPart(one: Revocations, nowMs: number): Html {
  const { issuer, source, state, held, staleness_ms, max_staleness_ms, on_stale, refused_before, lag } = one;
  return section(
    issuer,
    html`<div class="columns stack">${definitions([
      ['Held', number(held)],
      ['Confirmed', staleness_ms === null ? 'never' : `${duration(staleness_ms)} ago`],
      [
        'Stale after',
        `${duration(max_staleness_ms)}, then ${on_stale === 'allow' ? 'tokens without a known revocation pass' : 'all tokens get 503'}`,
      ],
      [
        'Last lag',
        lag === null
          ? 'no revocation since the gateway started'
          : html`${milliseconds(lag.last_ms)} <span class="muted">${ago(lag.last_at, nowMs)}</span>`,
      ],
      [
        'Longest lag',
        lag === null ? '–' : html`${milliseconds(lag.max_ms)} <span class="muted">of ${number(lag.count)}</span>`,
      ],
      ['Refuses tokens before', refused_before && html`<span class="why">${exact(refused_before)}</span>`],
    ])}${definitions([
      ['Feed URL in gateway.yaml', source],
      ['Responses', number(one.answers)],
      ['Failed reads', number(one.failures)],
      ['Complete snapshots', number(one.snapshots)],
      ['Items of an unknown kind', number(one.unknown_items)],
    ])}</div>`,
    stateSince(state, nowMs),
  );
}
