export type Cell = string | number | boolean | Date | null | undefined;

// A spreadsheet recognizes a formula by its first character, after spaces that it trims. A tab or line break can move a
// value into the next cell.
const formulaStart = /^[\s\p{Z}\p{Cf}\p{Cc}]*[=+\-@|%−]|^[\t\r\n\0]/u;

/** Includes equivalent characters, such as full-width ones from East Asian input methods. */
const startsFormula = (text: string) => formulaStart.test(text) || formulaStart.test(text.normalize('NFKC'));

/**
 * Returns a CSV row (RFC 4180) that is safe to open in a spreadsheet. Every cell is quoted, because separators depend
 * on the locale. A leading apostrophe turns a formula into text. Some programs show it.
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
