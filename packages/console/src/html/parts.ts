import { type Content as AnyContent, type Html as AnyHtml, html as template } from '@countersign/service-kit';
import type { z } from 'zod';
import type { Since } from '../schema/merge.ts';
import type { Query, ReadView, ViewOf } from '../schema/view.ts';
import { duration, exact } from './format.ts';

/** The worker that the page shows. Links on the page keep it. */
type Worker = number | undefined;

export type Content = AnyContent<Worker>;
export type Html = AnyHtml<Worker>;

export const html: (strings: TemplateStringsArray, ...values: readonly Content[]) => Html = template;

export type Tone = 'good' | 'warn' | 'bad' | 'quiet';

const states: Readonly<Record<Tone, readonly string[]>> = {
  good: [
    'ready',
    'up',
    'healthy',
    'current',
    'closed',
    'connected',
    'in force',
    'applied',
    'passes',
    'held',
    'answers',
  ],
  warn: ['degraded', 'check failed', 'full', 'ejected', 'half-open', 'cannot be refreshed'],
  quiet: ['not checked', 'not reached'],
  bad: [],
};
const tones = new Map(Object.entries(states).flatMap(([tone, all]) => all.map((state) => [state, tone as Tone])));

/** States that are not listed count as bad. */
export const toneOf = (state: string): Tone => tones.get(state) ?? 'bad';

/** Shows a state as a word with a mark. The mark differs in shape, not only in color. */
export const pill = (text: string, tone: Tone = toneOf(text)): Html => html`<span class="pill ${tone}">${text}</span>`;

/** Says how long ago a time was, with the exact time as a tooltip and in `datetime`. */
export function ago(time: string, nowMs: number): Html {
  const ms = nowMs - Date.parse(time);
  const text = ms < 0 ? `in ${duration(-ms)}` : `${duration(ms)} ago`;
  return html`<time datetime="${time}" title="${exact(time)}">${text}</time>`;
}

export const forTime = (time: string, nowMs: number): Html =>
  html`<time datetime="${time}" title="since ${exact(time)}">${duration(nowMs - Date.parse(time))}</time>`;

/** Formats a time as `09:41:07`, or with the date if it is from another day. */
export function clock(time: string, nowMs: number): Html {
  const isToday = time.slice(0, 10) === new Date(nowMs).toISOString().slice(0, 10);
  const text = isToday ? time.slice(11, 19) : `${time.slice(0, 10)} ${time.slice(11, 16)}`;
  return html`<time datetime="${time}" title="${exact(time)}">${text}</time>`;
}

/** Shows a state, and how long it has lasted. */
export const stateSince = ({ state, since, why }: Since, nowMs: number): Html =>
  html`${pill(state)} <span class="muted">for ${forTime(since, nowMs)}</span>${why === null ? '' : html` <span class="why">${why}</span>`}`;

type Column<Row> = Readonly<{
  label: string;
  /** `number` aligns the column to the right. `main` marks the cell that names the row. */
  kind?: 'number' | 'main' | 'mono';
  cell(row: Row): Content;
}>;

/** A table. On a narrow screen each row becomes a card, so the ARIA roles must be explicit. */
export function table<Row>(label: string, columns: readonly Column<Row>[], rows: readonly Row[], empty: Content): Html {
  if (rows.length === 0) return html`<p class="lead">${empty}</p>`;
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

export const tableCard = <Row>(
  title: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: Content,
  aside: Content = '',
): Html => section(title, table(title, columns, rows, empty), aside);

export const link = (path: string, text: Content, query?: Record<string, string>): Html =>
  html`<a href="${to(path, query)}">${text}</a>`;

/** Returns a page's URL, which keeps the worker that the reader chose. */
export const to =
  (path: string, query: Record<string, string> = {}): Content =>
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

export type Page = Readonly<{
  /** Default: 200. */
  status?: number;
  /** Default: the title of the page's menu entry. */
  title?: string;
  /** Whether the page refreshes itself. Default: true. */
  live?: boolean;
  body: Content;
}>;

/** A console page, rendered from responses of the admin API. */
export type ConsolePage = Readonly<{
  path: string;
  page(asked: Readonly<{ read: ReadView; nowMs: number; query: Query }>): Promise<Page>;
  missing?(query: Query): string;
}>;

/** A page that shows one view, at the same path below `/console`. */
export const pageOf = <Response extends z.ZodType>(
  view: ViewOf<Response>,
  body: (answer: z.output<Response>, nowMs: number) => Content,
): ConsolePage => ({
  path: view.path.replace('/api/', '/console/'),
  page: async ({ read, query: { worker }, nowMs }) => ({ body: body(await read(view, { worker }), nowMs) }),
});
