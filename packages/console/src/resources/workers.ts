import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { bytes, duration, number, rate } from '../html/format.ts';
import * as ui from '../html/parts.ts';
import { type ConsolePage, type Content, type Html, html } from '../html/parts.ts';
import * as m from '../schema/merge.ts';
import { view } from '../schema/view.ts';

/** A worker does not know its own number, so the primary fills it in. */
const worker = z.int().nullable();

const processState = namedObject('Process', {
  worker: worker.describe('The worker number. Null without `--workers`.'),
  pid: z.int(),
  version: z.string(),
  node: z.string(),
  started: m.time,
  state: m.since,
  config_hash: z.string(),
  config_loaded: m.time,
  requests: m.count.describe('Requests since the process started.'),
  requests_per_sec: z.number().describe('Requests per second over the last minute.'),
  open_connections: m.count.describe('WebSockets and event streams that are open.'),
  rss_bytes: m.count,
  heap_used_bytes: m.count,
  cpu_ms: m.count.describe('CPU time since the process started.'),
});

export const workersView = view(
  'State',
  '/api/workers',
  'listWorkers',
  'The processes that serve requests',
  z.object({ processes: m.joined(processState) }),
);

const event = namedObject('Event', {
  at: m.time,
  kind: z
    .string()
    .describe(
      'The kind of part, such as `upstream`, `target`, `breaker`, `keys`, `revocations`, `configuration` or `gateway`.',
    ),
  name: z.string(),
  from: z.string(),
  to: z.string(),
  why: m.text,
  worker,
});
export type Event = z.output<typeof event>;

export const eventsView = view(
  'State',
  '/api/events',
  'listEvents',
  'The last 20 state changes of each part, at most 500, newest first',
  z.object({ events: m.atMost(500, m.joined(event, m.newestFirst('at'))) }),
);

export const eventTable = (events: readonly Event[], nowMs: number): Html =>
  ui.table(
    'Changes',
    [
      { label: 'When', cell: ({ at }) => ui.ago(at, nowMs) },
      {
        label: 'What',
        kind: 'main',
        cell: ({ kind, name, worker }) =>
          html`${kind} ${ui.breakable(name)}${worker === null ? '' : html` <span class="muted">worker ${worker}</span>`}`,
      },
      {
        label: 'Change',
        cell: ({ from, to, why }) =>
          html`<span class="change">${from} → ${ui.pill(to)}</span>${why === null ? '' : html` <span class="why">${why}</span>`}`,
      },
    ],
    events,
    'Nothing has changed since the gateway started.',
  );

export const workersPage: ConsolePage = {
  path: '/console/workers',
  async page({ read, query: { worker }, nowMs }) {
    const { processes } = await read(workersView, { worker });
    const { events } = await read(eventsView, { worker });
    const isAlone = processes.every(({ worker }) => worker === null);
    return {
      body: html`${isAlone ? html`<p class="lead">The gateway runs as one process. <code>--workers</code> starts several.</p>` : ''}
${ui.tableCard(
  isAlone ? 'Process' : 'Processes',
  [
    {
      label: isAlone ? 'Process' : 'Worker',
      kind: 'main',
      cell: ({ worker, pid }): Content =>
        html`${worker === null ? '' : html`<a href="/console/workers?worker=${worker}">${worker}</a> `}<span class="muted">pid ${pid}</span>`,
    },
    { label: 'State', cell: ({ state }) => ui.stateSince(state, nowMs) },
    { label: 'Running', cell: ({ started }) => ui.forTime(started, nowMs) },
    { label: 'Requests/s', kind: 'number', cell: ({ requests_per_sec }) => rate(requests_per_sec) },
    { label: 'Requests', kind: 'number', cell: ({ requests }) => number(requests) },
    { label: 'Sockets', kind: 'number', cell: ({ open_connections }) => number(open_connections) },
    {
      label: 'Memory',
      kind: 'number',
      cell: ({ rss_bytes, heap_used_bytes }) =>
        html`${bytes(rss_bytes)} <span class="muted">heap ${bytes(heap_used_bytes)}</span>`,
    },
    { label: 'CPU', kind: 'number', cell: ({ cpu_ms }) => duration(cpu_ms) },
    {
      label: 'Configuration',
      cell: ({ config_hash, config_loaded }) =>
        html`${ui.code(config_hash.slice(0, 12))} <span class="muted">${ui.ago(config_loaded, nowMs)}</span>`,
    },
  ],
  processes,
  'No worker is serving.',
)}
<div id="changes">${ui.section('State changes', eventTable(events, nowMs), 'the last 20 for each part')}</div>`,
    };
  },
};
