import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { exact, number } from '../html/format.ts';
import * as ui from '../html/parts.ts';
import { type Html, html } from '../html/parts.ts';
import { earliestTime, first, listOf, mergedBy, since, sum, text, time, worstFirst } from '../schema/merge.ts';
import { view } from '../schema/view.ts';

/** One line in a diff: a route key, as JSON. */
const keyChange = z.object({ key: z.string(), before: text, after: text });

const routeChange = z.object({
  route: z.string(),
  change: z.enum(['added', 'removed', 'changed']),
  keys: z.array(keyChange),
});
export type RouteChange = z.output<typeof routeChange>;

const reload = namedObject('Reload', {
  at: time,
  result: z.enum(['applied', 'refused']),
  hash: text.describe("The file's SHA-256. Null if the file cannot be read."),
  problems: z.array(z.string()).describe('The problems, each as `file:line:column: problem`.'),
  changed_routes: z.int().nullable().describe('How many routes changed. Null if the file was refused.'),
  changes: z.array(routeChange).describe('The first 100 routes that differ.'),
});
export type Reload = z.output<typeof reload>;

const inForce = z.object({
  hash: z.string(),
  loaded: earliestTime,
  processes: mergedBy(z.int(), sum),
});

export const reloadsView = view(
  'State',
  '/api/reloads',
  'listReloads',
  'The current configuration, and the last ten reloads with their problems and changes',
  z.object({
    file: z.string(),
    state: mergedBy(since.clone(), (states) => first(states.toSorted(worstFirst(['in force', 'refused'])))).describe(
      'Whether the gateway uses the file on disk.',
    ),
    in_force: listOf(inForce, ({ hash }) => hash),
    // Every process reads the same file. A process that started later has seen fewer reloads than the one shown here.
    reloads: mergedBy(z.array(reload), (lists) => first(lists.toSorted((a, b) => b.length - a.length))),
  }),
);

export const reloadsPage = ui.pageOf(reloadsView, ({ file, state, in_force, reloads }, nowMs) => {
  const meaning =
    state.state === 'refused'
      ? 'The file on disk was refused. The configuration below stays in use until the file is valid.'
      : 'The gateway uses the file on disk.';
  return html`<section class="card verdict ${state.state === 'refused' ? 'bad' : 'good'}"><h2>${ui.stateSince({ ...state, why: null }, nowMs)}</h2><p>${meaning}</p></section>
${ui.section('Current configuration', ui.definitions([['File', file], ...in_force.map(({ hash, loaded, processes }) => ['SHA-256', html`<code>${hash}</code> <span class="muted">loaded ${ui.ago(loaded, nowMs)}${in_force.length > 1 ? `, by ${processes} workers` : ''}</span>`] as const)]))}
${ui.section('Last reloads', reloads.length === 0 ? html`<p class="lead">The file has not been reloaded since the gateway started.</p>` : html`<ol>${reloads.map((one) => reloadPart(one, nowMs))}</ol>`)}`;
});

function reloadPart({ at, result, hash, problems, changed_routes, changes }: Reload, nowMs: number): Html {
  const what =
    result === 'refused'
      ? `${number(problems.length)} problem${problems.length === 1 ? '' : 's'}`
      : changed_routes === 0
        ? 'no route changed'
        : `${number(changed_routes ?? 0)} route${changed_routes === 1 ? '' : 's'} changed`;
  return html`<li class="reload"><p>${ui.pill(result)} ${ui.ago(at, nowMs)} <span class="muted">${exact(at)}</span> ${ui.code(hash === null ? 'unreadable' : hash.slice(0, 12))} ${what}</p>
${problemList(problems)}
${changes.map(
  ({ route, change, keys }) =>
    html`<details><summary>${route} ${ui.pill(change, change === 'removed' ? 'warn' : 'quiet')}</summary><div class="diff">${keys.map(
      ({ key, before, after }) =>
        html`${before === null ? '' : html`<p class="bad"><span>−</span> ${key}: ${before}</p>`}${after === null ? '' : html`<p class="good"><span>+</span> ${key}: ${after}</p>`}`,
    )}</div></details>`,
)}</li>`;
}

const shownProblems = 10;

function problemList(problems: readonly string[]): ui.Content {
  if (problems.length === 0) return '';
  const items = problems.map((problem) => html`<li>${ui.code(problem)}</li>`);
  const rest = items.slice(shownProblems);
  return html`<div class="notice bad"><ul>${items.slice(0, shownProblems)}</ul>${rest.length === 0 ? '' : html`<details><summary>${number(rest.length)} more</summary><ul>${rest}</ul></details>`}</div>`;
}
