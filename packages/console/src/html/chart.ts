import { exact, number } from './format.ts';
import { type Html, html } from './parts.ts';

export type Line = Readonly<{
  label: string;
  look: string;
  /** Null if unknown. */
  values: readonly (number | null)[];
}>;

export type ChartOptions = Readonly<{
  title: string;
  lines: readonly Line[];
  kind: 'stacked' | 'lines';
  start: string;
  stepSec: number;
  format(value: number): string;
  /** The current values in words, for readers who cannot see the chart. */
  summary: string;
}>;

const width = 600;
const height = 150;

/** Draws an SVG chart that fills its container. Labels are HTML, so that they keep their size. */
export function chart(options: ChartOptions): Html {
  const { title, lines, kind, start, stepSec, format, summary } = options;
  const drawn: readonly Drawn[] = kind === 'stacked' ? stacked(lines) : lines;
  const top = niceCeiling(Math.max(...drawn.flatMap(({ values }) => values.map((value) => value ?? 0)), 0));
  const paths = drawn.map(({ look, values, base }) =>
    base === undefined
      ? html`<path class="line ${look}" d="${linePath(values, top)}"/>`
      : html`<path class="area ${look}" d="${areaPath(values, base, top)}"/>`,
  );
  const minutes = Math.round(((lines[0]?.values.length ?? 0) * stepSec) / 60);
  return html`<figure class="chart"><figcaption class="row"><b>${title}</b><span class="row muted">${lines.map(
    ({ label, look }) => html`<span class="key ${look}">${label}</span>`,
  )}</span></figcaption>
<div class="plot"><div class="axis" aria-hidden="true"><span>${format(top)}</span><span>${format(top / 2)}</span><span>0</span></div>
<svg role="img" aria-label="${title}, from ${exact(start)}: ${summary}" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none">
<path class="grid" d="M0 .5H${width}M0 ${height / 2}H${width}M0 ${height - 0.5}H${width}"/>${paths}</svg></div>
<div class="times" aria-hidden="true"><span>${minutes} min ago</span><span>${Math.round(minutes / 2)} min</span><span>now</span></div></figure>`;
}

/** Merges neighboring points, so that the chart has about 120. */
export function joined(values: readonly number[], points = 120): number[] {
  const size = Math.max(1, Math.floor(values.length / points));
  const groups: number[] = [];
  for (let at = 0; at < values.length; at += size) {
    groups.push(values.slice(at, at + size).reduce((sum, value) => sum + value, 0));
  }
  return groups;
}

/** `base` is the lower edge of an area. */
type Drawn = Line & Readonly<{ base?: readonly number[] }>;

function stacked(lines: readonly Line[]): Drawn[] {
  let below: readonly number[] = lines[0]?.values.map(() => 0) ?? [];
  return lines.map((line) => {
    const base = below;
    below = base.map((under, at) => under + (line.values[at] ?? 0));
    return { ...line, values: below, base };
  });
}

const xOf = (at: number, count: number): string => ((at * width) / Math.max(1, count - 1)).toFixed(1);
const yOf = (value: number, top: number): string => (height - (value / top) * (height - 2) - 1).toFixed(1);

function areaPath(values: readonly (number | null)[], base: readonly number[], top: number): string {
  const edge = (list: readonly (number | null)[]) =>
    list.map((value, at) => `${xOf(at, list.length)} ${yOf(value ?? 0, top)}`);
  return `M${[...edge(values), ...edge(base).reverse()].join('L')}Z`;
}

/** Draws a line that unknown values interrupt. A value between two unknown ones becomes a short stroke. */
function linePath(values: readonly (number | null)[], top: number): string {
  let path = '';
  for (const [at, value] of values.entries()) {
    if (value === null) continue;
    const before = values[at - 1];
    const isFirst = before === undefined || before === null;
    path += `${isFirst ? 'M' : 'L'}${xOf(at, values.length)} ${yOf(value, top)}${isFirst ? (at === values.length - 1 ? 'h-3' : 'h3') : ''}`;
  }
  return path;
}

function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value) ?? 10;
  return step * power;
}

/** Formats a number on the axis without rounding: half of 25 is not 13. */
export function axisNumber(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return rounded >= 1 ? number(rounded) : String(rounded);
}
