import type { z } from 'zod';
import { milliseconds, number } from '../html/format.ts';
import * as ui from '../html/parts.ts';
import { type ConsolePage, type Html, html } from '../html/parts.ts';
import { type Since, sum } from '../schema/merge.ts';
import type { ViewOf } from '../schema/view.ts';
import { certificatesView, soonestFirst, validityOf } from './certificates.ts';
import { issuersView } from './issuers.ts';
import { limitsView } from './limits.ts';
import { reloadsView } from './reloads.ts';
import { toneOfStatus } from './request.ts';
import { revocationsView } from './revocations.ts';
import { type CountedRefusal, refusalsView } from './routes.ts';
import { trafficTiles, trafficView } from './traffic.ts';
import { badUpstreamsFirst, upstreamsView } from './upstreams.ts';
import { type Event, eventsView, eventTable, workersView } from './workers.ts';

const shownRefusals = 10;
const shownEvents = 8;

const shownViews = {
  traffic: trafficView,
  processes: workersView,
  upstreams: upstreamsView,
  issuers: issuersView,
  revocations: revocationsView,
  reloads: reloadsView,
  limits: limitsView,
  certificates: certificatesView,
  refusals: refusalsView,
  events: eventsView,
};

type Views = typeof shownViews;
type OverviewData = { readonly [Name in keyof Views]: z.output<Views[Name]['responses'][200]> } & Readonly<{
  nowMs: number;
}>;

export const overviewPage: ConsolePage = {
  path: '/',
  async page({ read, query: { worker }, nowMs }) {
    const parts = Object.entries(shownViews).map(async ([name, view]) => [
      name,
      await read(view as ViewOf<z.ZodType>, { worker }),
    ]);
    return { body: overview({ ...Object.fromEntries(await Promise.all(parts)), nowMs }) };
  },
};

function overview(data: OverviewData): Html {
  const { traffic, events, nowMs } = data;
  return html`${attention(data)}${trafficTiles(traffic)}
<div class="columns stack"><div class="stack">${upstreamPart(data)}${gatewayPart(data)}</div><div class="stack">${trustPart(data)}${ui.section(
    'Last changes',
    eventTable(lastOfEach(events.events).slice(0, shownEvents), nowMs),
    ui.link('/console/workers#changes', 'All changes'),
  )}</div></div>
${refusalPart(data)}`;
}

/** A part that changes all the time must not hide others. An upstream's change covers its targets and breaker. */
export function lastOfEach(events: readonly Event[]): readonly Event[] {
  const seen = new Set<string>();
  return events.filter(({ kind, name }) => {
    const part = `${kind} ${name}`;
    return kind !== 'target' && kind !== 'breaker' && !seen.has(part) && seen.add(part);
  });
}

/** Shows refusals by route and code, so that many refusals of one kind do not hide the others. */
function refusalPart({ refusals: { refusals }, nowMs }: OverviewData): Html {
  return ui.tableCard(
    'Last refusals',
    [
      { label: 'Code', kind: 'main', cell: (one) => ui.link('/console/requests', ui.code(one.code), filtersOf(one)) },
      { label: 'Status', cell: ({ status }) => ui.pill(String(status), toneOfStatus(status)) },
      {
        label: 'Route',
        cell: ({ route }) => (route === null ? html`<span class="muted">none</span>` : ui.routeLink(route)),
      },
      { label: 'Count', kind: 'number', cell: ({ count }) => number(count) },
      { label: 'Last', cell: ({ last }) => ui.ago(last, nowMs) },
      { label: 'Public text', cell: ({ title }) => title },
    ],
    refusals.slice(0, shownRefusals),
    'No request has been refused since the gateway started.',
    ui.link('/console/requests', 'All refusals', { outcome: 'refused' }),
  );
}

const filtersOf = ({ route, code: refusal }: CountedRefusal): Record<string, string> => ({
  ...(route !== null && { route }),
  code: refusal,
});

function attention(data: OverviewData): Html {
  const states = attentionOf(data);
  const bad = states.filter(({ tone }) => tone === 'warn' || tone === 'bad');
  if (bad.length === 0) {
    const changed = states.flatMap(({ since }) => since ?? []).sort();
    return html`<section class="card verdict good"><p>${ui.pill('All is well', 'good')} No part has had a problem for ${ui.forTime(changed.at(-1) ?? '', data.nowMs)}.</p></section>`;
  }
  return html`<section class="card verdict bad" aria-label="Needs attention"><h2>Needs attention</h2><ul>${bad.map(
    ({ tone, what, state, since, why, page }) =>
      html`<li class="${tone}"><b>${ui.link(`/console/${page}`, what)}</b> ${ui.pill(state, tone)} ${since === undefined ? '' : html`<span class="muted">for ${ui.forTime(since, data.nowMs)}</span>`} <span class="why">${why}</span></li>`,
  )}</ul></section>`;
}

function upstreamPart({ upstreams: { upstreams }, nowMs }: OverviewData): Html {
  return ui.tableCard(
    'Upstreams',
    [
      { label: 'Upstream', kind: 'main', cell: ({ name }) => ui.upstreamLink(name) },
      { label: 'State', cell: ({ state }) => ui.stateSince(state, nowMs) },
      {
        label: 'Targets',
        cell: ({ targets }) =>
          `${targets.filter(({ state }) => state.state === 'healthy' || state.state === 'not checked').length} of ${targets.length}`,
      },
      { label: 'p95', kind: 'number', cell: ({ latency_ms }) => milliseconds(latency_ms.p95) },
    ],
    badUpstreamsFirst(upstreams),
    'The configuration has no upstreams.',
    ui.link('/console/upstreams', 'Details'),
  );
}

function trustPart({ issuers: { issuers }, revocations, nowMs }: OverviewData): Html {
  const rows = ui.table(
    'Issuers',
    [
      {
        label: 'Issuer',
        kind: 'main',
        cell: ({ issuer }) => ui.link('/console/issuers', ui.breakable(issuer)),
      },
      { label: 'Keys', cell: ({ state }) => ui.stateSince(state, nowMs) },
      { label: 'Confirmed', cell: ({ confirmed }) => (confirmed === null ? 'never' : ui.ago(confirmed, nowMs)) },
      {
        label: 'Revocations',
        cell({ issuer }) {
          const followed = revocations.issuers.find((one) => one.issuer === issuer);
          if (followed === undefined) return 'no feed';
          const lag =
            followed.lag === null ? '' : html` <span class="muted">lag ${milliseconds(followed.lag.last_ms)}</span>`;
          return html`${ui.stateSince(followed.state, nowMs)}${lag}`;
        },
      },
    ],
    issuers,
    'The configuration trusts no issuer, so every route is public or for services only.',
  );
  return ui.section('Keys and revocations', rows, ui.link('/console/issuers', 'Details'));
}

function gatewayPart({ processes: { processes }, reloads, nowMs }: OverviewData): Html {
  const [first] = processes;
  const [started = ''] = processes.map((one) => one.started).sort();
  const [inForce] = reloads.in_force;
  return ui.section(
    'Gateway',
    ui.definitions([
      ['Configuration', ui.stateSince(reloads.state, nowMs)],
      ['Loaded', inForce ? html`${ui.ago(inForce.loaded, nowMs)}, ${ui.code(inForce.hash.slice(0, 12))}` : '–'],
      ['Version', first?.version ?? '–'],
      ['Node.js', first?.node ?? '–'],
      ['Running', html`for ${ui.forTime(started, nowMs)}`],
      ['Processes', number(processes.length)],
      ['Open sockets and streams', number(sum(processes.map((one) => one.open_connections)))],
    ]),
    ui.link('/console/reloads', 'Reloads'),
  );
}

/** The state of one part, and whether an operator should look at it. */
type Attention = Readonly<{ tone: ui.Tone; what: string; state: string; since?: string; why: string; page: string }>;

/** Lists the states of all parts, worst first. */
function attentionOf(data: OverviewData): readonly Attention[] {
  const { processes, upstreams, issuers, revocations, reloads, limits, certificates, nowMs } = data;
  const all: Attention[] = [];
  const add = (tone: ui.Tone, what: string, page: string, state: string, why: string) =>
    all.push({ tone, what, page, state, why });
  const addState = (what: string, page: string, { state, since, why }: Since) =>
    all.push({ tone: ui.toneOf(state), what, page, state, since, why: why ?? '' });
  for (const { worker, state } of processes.processes) {
    addState(worker === null ? 'Gateway' : `Worker ${worker}`, 'workers', state);
  }
  addState('Configuration file', 'reloads', reloads.state);
  if (reloads.in_force.length > 1) {
    add('warn', 'Configuration', 'workers', 'differs', 'the workers run different configurations');
  }
  for (const { name, state } of upstreams.upstreams) {
    addState(`Upstream ${name}`, `upstreams#${encodeURIComponent(name)}`, state);
  }
  for (const { issuer, state } of issuers.issuers) addState(`Keys of ${issuer}`, 'issuers', state);
  for (const { issuer, state, refused_before } of revocations.issuers) {
    const what = `Revocations of ${issuer}`;
    addState(what, 'revocations', state);
    if (refused_before !== null) {
      add('bad', what, 'revocations', 'overflow', 'memory cannot hold all revocations, so older tokens are refused');
    }
  }
  if (limits.redis !== null && limits.redis !== 'ready') {
    add('bad', 'Redis', 'limits', 'not connected', 'rate limits follow onStoreFailure');
  }
  for (const [certificate, ...others] of soonestFirst(certificates.certificates)) {
    const { text, tone } = validityOf(certificate, nowMs);
    const what = `Certificate of the ${certificate.use}${others.length === 0 ? '' : ` and ${others.length} more`}`;
    add(tone, what, 'certificates', text, certificate.subject);
  }
  for (const { use, problem } of certificates.trouble) {
    add('warn', `TLS files of ${use}`, 'certificates', 'old', problem);
  }
  return all.sort((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
}
