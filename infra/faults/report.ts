import type { Measured } from './measure.ts';

const columns = ['fault', 'lasted', 'requests', 'failed', 'longest', 'well after', 'lost', 'alerts'] as const;

/** Renders a Markdown table of all faults. */
export function tableOf(rows: readonly Measured[], responseMs: number): string {
  const lines = rows.map((row) => cellsOf(row, responseMs));
  return [columns, columns.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function cellsOf(row: Measured, responseMs: number): readonly string[] {
  const kinds = [...row.kinds].sort(([, a], [, b]) => b - a).map(([kind, count]) => `${count} × ${kind}`);
  const share = ((100 * row.failedDuring) / row.during).toFixed(1);
  return [
    row.name,
    seconds(row.lastedSec),
    String(row.during),
    kinds.length === 0 ? 'none' : `${share} %: ${kinds.join(', ')}`,
    `${seconds(row.longestSec)} (${((row.longestSec * 1000) / responseMs).toFixed(2)})`,
    kinds.length === 0 ? 'at once' : seconds(row.wellAfterSec),
    `${row.lost.length} of ${row.acknowledged}`,
    row.alerts.join(', ') || 'none',
  ];
}

const seconds = (sec: number): string => `${sec.toFixed(2)} s`;

/** Lists the broken promises and the notes. */
export const notesOf = (rows: readonly Measured[]): string =>
  rows
    .flatMap(({ name, note, broken }) => [
      ...(note === undefined ? [] : [`${name}: ${note}`]),
      ...broken.map((promise) => `${name}: BROKEN: ${promise}`),
    ])
    .join('\n');
