export type Cell = string | number | boolean | Date | null | undefined;

// A spreadsheet recognizes a formula by its first character, after spaces that it trims. A tab or line break can move a
// value into the next cell.
const formulaStart = /^[\s\p{Z}\p{Cf}\p{Cc}]*[=+\-@|%−]|^[\t\r\n\0]/u;

/** Includes the equivalent forms of each character, such as the full-width ones of East Asian input methods. */
const startsFormula = (text: string) => formulaStart.test(text) || formulaStart.test(text.normalize('NFKC'));

/**
 * One row in CSV (RFC 4180), safe to open in a spreadsheet. Every cell is quoted, so that no separator of any locale
 * splits it. A leading apostrophe turns a formula into text; some programs show it.
 */
export function csvRow(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** The byte order mark, which spreadsheets need to recognize UTF-8. */
export const byteOrderMark = '\ufeff';

function csvCell(cell: Cell): string {
  if (cell === null || cell === undefined) return '""';
  if (typeof cell === 'number' || typeof cell === 'boolean') return `"${cell}"`;
  if (cell instanceof Date) return `"${cell.toISOString()}"`;
  const text = cell.replaceAll('"', '""').replaceAll(/\r\n?/g, '\n');
  return `"${startsFormula(cell) ? "'" : ''}${text}"`;
}
