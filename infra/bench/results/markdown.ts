import type { Spread } from './statistics.ts';

/** Renders a Markdown table. Columns after the first are aligned to the right. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${header.map((_, index) => (index === 0 ? '---' : '---:')).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

/** `5,500 (5,100–5,900)`: the median, then the smallest and the largest value. */
export function showSpread({ median, min, max }: Spread, digits = 0): string {
  return `${showNumber(median, digits)} (${showNumber(min, digits)}–${showNumber(max, digits)})`;
}

/** @returns A dash for a value that could not be measured. */
export function showNumber(value: number | undefined, digits = 0): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * Replaces the part of a page between `<!-- mark -->` and `<!-- /mark -->`.
 *
 * @throws Error when the page has no such marks.
 */
export function replaceBetween(page: string, mark: string, content: string): string {
  const [before, rest] = page.split(`<!-- ${mark} -->\n`);
  const after = rest?.split(`<!-- /${mark} -->`)[1];
  if (before === undefined || after === undefined) throw new Error(`the marks of ${mark} are missing`);
  return `${before}<!-- ${mark} -->\n${content}\n<!-- /${mark} -->${after}`;
}
