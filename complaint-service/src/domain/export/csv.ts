/** A value of one cell. Null and undefined are empty cells. */
export type Cell = string | number | boolean | Date | null | undefined;

// A spreadsheet recognizes a formula by its first character, also in the full-width forms that East Asian input
// methods make, and after spaces that it trims. A tab or line break can move a value into the next cell.
const startsFormula = /^[\s\p{Z}\p{Cf}\p{Cc}]*[=+\-@|%＝＋－＠−]|^[\t\r\n\0]/u;

/**
 * One row in CSV (RFC 4180), safe to open in a spreadsheet. Every cell is quoted, so that no separator of any locale
 * splits it. An apostrophe in front makes a text of what would be a formula; it stays visible in some programs.
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
  return `"${startsFormula.test(cell) ? "'" : ''}${text}"`;
}
