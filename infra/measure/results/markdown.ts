import type { Spread } from './statistics.ts';

/** Renders a Markdown table. @param align Of the columns after the first. */
export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  align: 'left' | 'right' = 'right',
): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${header.map((_, index) => (index === 0 || align === 'left' ? '---' : '---:')).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

/** `5,500 (5,100–5,900)`: the median, then the smallest and the largest value. */
export const showSpread = ({ median, min, max }: Spread, digits = 0): string =>
  Number.isNaN(median) ? '–' : `${showNumber(median, digits)} (${showNumber(min, digits)}–${showNumber(max, digits)})`;

/** @returns A dash for NaN: the value could not be measured. */
export const showNumber = (value: number, digits = 0, unit = ''): string =>
  Number.isNaN(value)
    ? '–'
    : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }) + unit;

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

/** Wraps a paragraph at the line length that our style allows. */
export const wrapLines = (paragraph: string): string => paragraph.replace(/(.{1,118})(?: |$)/g, '$1\n').trimEnd();
