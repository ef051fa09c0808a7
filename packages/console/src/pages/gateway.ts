import type { Answers, Reload } from '@countersign/admin-api';
import { ago, bytes, duration, exact, forTime, number, rate } from '../html/format.ts';
import { type Content, type Html, html } from '../html/html.ts';
import { code, definitions, pill, section, stateSince, tableCard } from '../html/parts.ts';
import { eventTable } from './events.ts';

/** The reloads page: whether the last file is in use, and what each reload changed. */
export function reloadsPage({ file, state, in_force, reloads }: Answers['/api/reloads'], nowMs: number): Html {
  const meaning =
    state.state === 'refused'
      ? 'The file on disk was refused. The configuration below stays in use until the file is valid.'
      : 'The gateway uses the file on disk.';
  return html`<section class="verdict ${state.state === 'refused' ? 'bad' : 'good'}"><h2 class="headline">${stateSince({ ...state, why: null }, nowMs)}</h2><p>${meaning}</p></section>
${section('Current configuration', definitions([['File', file], ...in_force.map(({ hash, loaded, processes }) => ['SHA-256', html`<code>${hash}</code> <span class="muted">loaded ${ago(loaded, nowMs)}${in_force.length > 1 ? `, by ${processes} workers` : ''}</span>`] as const)]))}
${section('Last reloads', reloads.length === 0 ? html`<p class="empty">The file has not been reloaded since the gateway started.</p>` : html`<ol>${reloads.map((one) => reloadPart(one, nowMs))}</ol>`)}`;
}

function reloadPart({ at, result, hash, problems, changed_routes, changes }: Reload, nowMs: number): Html {
  const what =
    result === 'refused'
      ? `${number(problems.length)} problem${problems.length === 1 ? '' : 's'}`
      : changed_routes === 0
        ? 'no route changed'
        : `${number(changed_routes ?? 0)} route${changed_routes === 1 ? '' : 's'} changed`;
  return html`<li class="reload"><p>${pill(result)} ${ago(at, nowMs)} <span class="muted">${exact(at)}</span> ${code(hash === null ? 'unreadable' : hash.slice(0, 12))} ${what}</p>
${problemList(problems)}
${changes.map(
  ({ route, change, keys }) =>
    html`<details><summary>${route} ${pill(change, change === 'removed' ? 'warn' : 'quiet')}</summary><div class="diff">${keys.map(
      ({ key, before, after }) =>
        html`${before === null ? '' : html`<p class="del"><span>−</span> ${key}: ${before}</p>`}${after === null ? '' : html`<p class="ins"><span>+</span> ${key}: ${after}</p>`}`,
    )}</div></details>`,
)}</li>`;
}

const shownProblems = 10;

function problemList(problems: readonly string[]): Content {
  if (problems.length === 0) return '';
  const items = problems.map((problem) => html`<li>${code(problem)}</li>`);
  const rest = items.slice(shownProblems);
  return html`<div class="problems"><ul>${items.slice(0, shownProblems)}</ul>${rest.length === 0 ? '' : html`<details><summary>${number(rest.length)} more</summary><ul>${rest}</ul></details>`}</div>`;
}

/** The workers page, with all state changes. */
export function workersPage(
  { processes }: Answers['/api/workers'],
  { events }: Answers['/api/events'],
  nowMs: number,
): Html {
  const isAlone = processes.every(({ worker }) => worker === null);
  return html`${isAlone ? html`<p class="lead">The gateway runs as one process. <code>--workers</code> starts several.</p>` : ''}
${tableCard(
  isAlone ? 'Process' : 'Processes',
  [
    {
      label: isAlone ? 'Process' : 'Worker',
      kind: 'main',
      cell: ({ worker, pid }): Content =>
        html`${worker === null ? '' : html`<a href="/console/workers?worker=${worker}">${worker}</a> `}<span class="muted">pid ${pid}</span>`,
    },
    { label: 'State', cell: ({ state }) => stateSince(state, nowMs) },
    { label: 'Running', cell: ({ started }) => forTime(started, nowMs) },
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
        html`${code(config_hash.slice(0, 12))} <span class="muted">${ago(config_loaded, nowMs)}</span>`,
    },
  ],
  processes,
  'No worker is serving.',
)}
<div id="changes">${section('State changes', eventTable(events, nowMs), 'the last 20 for each part')}</div>`;
}
