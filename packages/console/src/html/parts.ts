import type { Since } from '@countersign/admin-api';
import { forTime } from './format.ts';
import { type Content, type Html, html } from './html.ts';

type Query = Readonly<Record<string, string>>;

export type Tone = 'good' | 'warn' | 'bad' | 'quiet';

const tones: Readonly<Record<string, Tone>> = {
  ready: 'good',
  up: 'good',
  healthy: 'good',
  current: 'good',
  closed: 'good',
  connected: 'good',
  'in force': 'good',
  applied: 'good',
  passes: 'good',
  held: 'good',
  degraded: 'warn',
  full: 'warn',
  ejected: 'warn',
  'half-open': 'warn',
  'cannot be refreshed': 'warn',
  answers: 'good',
  'not checked': 'quiet',
  'not reached': 'quiet',
};

/** States that are not listed count as bad. */
export const toneOf = (state: string): Tone => tones[state] ?? 'bad';

/** Shows a state as a word with a mark. The mark differs in shape, not only in color. */
export const pill = (text: string, tone: Tone = toneOf(text)): Html => html`<span class="pill ${tone}">${text}</span>`;

/** Shows a state, and how long it has lasted. */
export const stateSince = ({ state, since, why }: Since, nowMs: number): Html =>
  html`${pill(state)} <span class="muted">for ${forTime(since, nowMs)}</span>${why === null ? '' : html` <span class="why">${why}</span>`}`;

export type Column<Row> = Readonly<{
  label: string;
  /** `number` aligns the column to the right. `main` marks the cell that names the row. */
  kind?: 'number' | 'main' | 'mono';
  cell(row: Row): Content;
}>;

/** A table. On a narrow screen each row becomes a card, so the ARIA roles must be explicit. */
export function table<Row>(label: string, columns: readonly Column<Row>[], rows: readonly Row[], empty: Content): Html {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  const head = columns.map(
    ({ label: text, kind }) => html`<th role="columnheader" scope="col" class="${kind ?? ''}">${text}</th>`,
  );
  const body = rows.map(
    (row) => html`<tr role="row">${columns.map((column) => cellOf(column, row))}</tr>
`,
  );
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">
<table role="table" aria-label="${label}"><thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">${body}</tbody></table></div>`;
}

function cellOf<Row>({ label, kind, cell }: Column<Row>, row: Row): Html {
  const value = cell(row);
  const content = html`<span class="cell">${typeof value === 'string' ? breakable(value) : value}</span>`;
  if (kind === 'main') return html`<th role="rowheader" scope="row" class="main">${content}</th>`;
  return html`<td role="cell" class="${kind ?? ''}" data-label="${label}">${content}</td>`;
}

/** Lets a URL wrap between its parts. Otherwise the URL would push the next columns out of the table. */
export const breakable = (text: string): Content =>
  text.includes('://') ? text.split(/(?<=[/.:?&=-])/).map((part) => html`${part}<wbr>`) : text;

/** A list of names and values. Null values are omitted. */
export type Definitions = readonly (readonly [label: string, value: Content])[];

export const definitions = (rows: Definitions): Html =>
  html`<dl class="definitions">${rows.map(([label, value]) => value !== null && html`<div><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`;

export const section = (title: string, body: Content, aside: Content = ''): Html =>
  html`<section class="card"><header class="row"><h2>${title}</h2>${aside === '' ? '' : html`<div class="muted">${aside}</div>`}</header>${body}</section>`;

/** A page section with one table. */
export const tableCard = <Row>(
  title: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: Content,
  aside: Content = '',
): Html => section(title, table(title, columns, rows, empty), aside);

export const link = (path: string, text: Content, query?: Query): Html =>
  html`<a href="${to(path, query)}">${text}</a>`;

/** Returns a page's URL, which keeps the worker that the reader chose. */
export const to =
  (path: string, query: Query = {}): Content =>
  (worker) => {
    const [page = '', fragment] = path.split('#');
    const parameters = new URLSearchParams(query);
    if (worker !== undefined && !parameters.has('worker')) parameters.set('worker', String(worker));
    return `${page}${parameters.size === 0 ? '' : `?${parameters}`}${fragment === undefined ? '' : `#${fragment}`}`;
  };

/** Keeps the worker in a form. The browser replaces the action's query with the form fields. */
export const workerField: Content = (worker) =>
  worker === undefined ? '' : html`<input type="hidden" name="worker" value="${worker}">`;

export const routeLink = (name: string): Html => link(`/console/routes/${encodeURIComponent(name)}`, name);
export const upstreamLink = (name: string): Html => link(`/console/upstreams#${encodeURIComponent(name)}`, name);
export const requestLink = (id: string, text: Content): Html =>
  link(`/console/requests/${encodeURIComponent(id)}`, text);
export const code = (text: Content): Html => html`<code>${text}</code>`;
