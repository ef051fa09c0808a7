import type { Event, Refusal, Since } from '@countersign/admin-api';
import { ago, forTime, milliseconds, number, sum } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import {
  breakable,
  code,
  definitions,
  link,
  pill,
  routeLink,
  section,
  stateSince,
  table,
  tableCard,
  to,
  upstreamLink,
} from '../html/parts.ts';
import { attentionOf, type OverviewData } from './attention.ts';
import { eventTable } from './events.ts';
import { toneOfStatus } from './request-table.ts';
import { trafficTiles } from './traffic-tiles.ts';
import { worstFirst } from './upstreams.ts';

const shownRefusals = 10;
const shownEvents = 8;

/** The first page: what needs attention, the traffic, and the state of every component. */
export function overviewPage(data: OverviewData): Html {
  const { traffic, events, nowMs } = data;
  return html`${attention(data)}${trafficTiles(traffic)}
<div class="columns stack"><div class="stack">${upstreamPart(data)}${gatewayPart(data)}</div><div class="stack">${trustPart(data)}${section(
    'Last changes',
    eventTable(lastOfEach(events.events).slice(0, shownEvents), nowMs),
    link('/console/workers#changes', 'All changes'),
  )}</div></div>
${refusalPart(data)}`;
}

/**
 * Returns the last change of each part, so that a part that changes all the time does not hide the others. An
 * upstream's change covers its targets and its breaker.
 */
export function lastOfEach(events: readonly Event[]): readonly Event[] {
  const seen = new Set<string>();
  return events.filter(({ kind, name }) => {
    const part = `${kind} ${name}`;
    return kind !== 'target' && kind !== 'breaker' && !seen.has(part) && seen.add(part);
  });
}

/** Shows refusals by route and code, so that many refusals of one kind do not hide the others. */
function refusalPart({ refusals: { refusals }, nowMs }: OverviewData): Html {
  return tableCard(
    'Last refusals',
    [
      { label: 'Code', kind: 'main', cell: (one) => link('/console/requests', code(one.code), filtersOf(one)) },
      { label: 'Status', cell: ({ status }) => pill(String(status), toneOfStatus(status)) },
      {
        label: 'Route',
        cell: ({ route }) => (route === null ? html`<span class="muted">none</span>` : routeLink(route)),
      },
      { label: 'Count', kind: 'number', cell: ({ count }) => number(count) },
      { label: 'Last', cell: ({ last }) => ago(last, nowMs) },
      { label: 'Public text', cell: ({ title }) => title },
    ],
    refusals.slice(0, shownRefusals),
    'No request has been refused since the gateway started.',
    link('/console/requests', 'All refusals', { outcome: 'refused' }),
  );
}

const filtersOf = ({ route, code: refusal }: Refusal): Record<string, string> => ({
  ...(route !== null && { route }),
  code: refusal,
});

/** The states that {@link attentionOf} checks. */
const statesOf = ({ processes, reloads, upstreams, issuers, revocations }: OverviewData): readonly Since[] => [
  ...processes.processes.map(({ state }) => state),
  reloads.state,
  ...upstreams.upstreams.map(({ state }) => state),
  ...issuers.issuers.map(({ state }) => state),
  ...revocations.issuers.map(({ state }) => state),
];

function attention(data: OverviewData): Html {
  const all = attentionOf(data);
  if (all.length === 0) {
    const changed =
      statesOf(data)
        .map(({ since }) => since)
        .sort()
        .at(-1) ?? '';
    return html`<p class="calm good">${pill('All is well', 'good')} No part has had a problem for ${forTime(changed, data.nowMs)}.</p>`;
  }
  return html`<section class="attention bad" aria-label="Needs attention"><h2>Needs attention</h2><ul>${all.map(
    ({ tone, what, state, since, why, page }) =>
      html`<li class="${tone}"><a class="what" href="${to(page)}">${what}</a> ${pill(state, tone)} ${since === undefined ? '' : html`<span class="muted">for ${forTime(since, data.nowMs)}</span>`} <span class="why">${why}</span></li>`,
  )}</ul></section>`;
}

function upstreamPart({ upstreams: { upstreams }, nowMs }: OverviewData): Html {
  return tableCard(
    'Upstreams',
    [
      { label: 'Upstream', kind: 'main', cell: ({ name }) => upstreamLink(name) },
      { label: 'State', cell: ({ state }) => stateSince(state, nowMs) },
      {
        label: 'Targets',
        cell: ({ targets }) =>
          `${targets.filter(({ state }) => state.state === 'healthy' || state.state === 'not checked').length} of ${targets.length}`,
      },
      { label: 'p95', kind: 'number', cell: ({ latency_ms }) => milliseconds(latency_ms.p95) },
    ],
    worstFirst(upstreams),
    'The configuration has no upstreams.',
    link('/console/upstreams', 'Details'),
  );
}

function trustPart({ issuers: { issuers }, revocations, nowMs }: OverviewData): Html {
  const rows = table(
    'Issuers',
    [
      {
        label: 'Issuer',
        kind: 'main',
        cell: ({ issuer }) => link('/console/issuers', breakable(issuer)),
      },
      { label: 'Keys', cell: ({ state }) => stateSince(state, nowMs) },
      { label: 'Confirmed', cell: ({ confirmed }) => (confirmed === null ? 'never' : ago(confirmed, nowMs)) },
      {
        label: 'Revocations',
        cell({ issuer }) {
          const followed = revocations.issuers.find((one) => one.issuer === issuer);
          if (followed === undefined) return 'no feed';
          const lag =
            followed.lag === null ? '' : html` <span class="muted">lag ${milliseconds(followed.lag.last_ms)}</span>`;
          return html`${stateSince(followed.state, nowMs)}${lag}`;
        },
      },
    ],
    issuers,
    'The configuration trusts no issuer, so every route is public or for services only.',
  );
  return section('Keys and revocations', rows, link('/console/issuers', 'Details'));
}

function gatewayPart({ processes: { processes }, reloads, nowMs }: OverviewData): Html {
  const [first] = processes;
  const [started = ''] = processes.map((one) => one.started).sort();
  const [inForce] = reloads.in_force;
  return section(
    'Gateway',
    definitions([
      ['Configuration', stateSince(reloads.state, nowMs)],
      ['Loaded', inForce ? html`${ago(inForce.loaded, nowMs)}, ${code(inForce.hash.slice(0, 12))}` : '–'],
      ['Version', first?.version ?? '–'],
      ['Node.js', first?.node ?? '–'],
      ['Running', html`for ${forTime(started, nowMs)}`],
      ['Processes', number(processes.length)],
      ['Open sockets and streams', number(sum(processes.map((one) => one.open_connections)))],
    ]),
    link('/console/reloads', 'Reloads'),
  );
}
