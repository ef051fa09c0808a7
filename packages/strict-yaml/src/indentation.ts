import type { YAMLError } from 'yaml';
import type { FileProblem } from './source.ts';

/** A key or list dash in an earlier line. `column` counts from 0. */
type Opened = Readonly<{ column: number; line: number; key: string | undefined }>;

/** Matches indentation, dashes, and a key that cannot be a secret value. */
const lineStart = /^(?<indent> *)(?<dashes>(?:- +|-$)*)(?:(?<key>["']?[\w.$/-]+["']?)\s*:(?=\s|$))?/;

/**
 * Explains a parser error that wrong indentation causes, at the line that begins in the wrong column. The parser itself
 * names the end of the previous line, or column 1.
 *
 * @returns Undefined if the indentation is not the cause.
 */
export function indentationProblem({ code, message, pos: [at] }: YAMLError, text: string): FileProblem | undefined {
  const lines = text.split('\n');
  const line = text.slice(0, at).split('\n').length - 1;
  const column = at - text.lastIndexOf('\n', at - 1) - 1;
  const [before = '', after = ''] = [lines[line]?.slice(0, column), lines[line]?.slice(column)];
  const isUnclear = code === 'BAD_INDENT' || code === 'BLOCK_AS_IMPLICIT_KEY';
  if (before.trim() === '' && (isUnclear || code === 'MISSING_CHAR' || message.includes('at node end'))) {
    return problemOfLine(lines, firstFrom(lines, line));
  }
  // This line's value is not a map, so the map is on the next line.
  if (code !== 'BLOCK_AS_IMPLICIT_KEY' || /:(?:\s|$)/.test(after)) return undefined;
  return problemOfLine(lines, firstFrom(lines, line + 1));
}

const firstFrom = (lines: readonly string[], from: number): number =>
  lines.findIndex((line, index) => index >= from && !isEmpty(line));

function problemOfLine(lines: readonly string[], line: number): FileProblem | undefined {
  const [own] = openedBy(lines[line] ?? '', line);
  if (own === undefined) return undefined;
  const isItem = own.key === undefined;
  const [like] = openAbove(lines, line)
    .filter(({ key, column }) => (key === undefined) === isItem && column !== own.column)
    .sort((a, b) => Math.abs(a.column - own.column) - Math.abs(b.column - own.column) || b.column - a.column);
  if (like === undefined) return undefined;
  const [here, there, rule] = isItem
    ? ['this "-"', 'the one', 'the items of a list']
    : [`"${own.key}"`, `"${like.key}"`, 'the keys of a map'];
  return {
    offset: lines.slice(0, line).join('\n').length + (line === 0 ? 0 : 1) + own.column,
    message: `not YAML: ${here} begins in column ${own.column + 1}, but ${there} in line ${like.line + 1} in column ${like.column + 1}: ${rule} begin in the same column (the rest is read when this is fixed)`,
  };
}

/** What is open before a line: the last key and last item in each column. */
function openAbove(lines: readonly string[], line: number): readonly Opened[] {
  const open: Opened[] = [];
  for (let above = line - 1, limit = Number.POSITIVE_INFINITY; above >= 0 && limit > 0; above -= 1) {
    for (const one of openedBy(lines[above] ?? '', above).toReversed()) {
      if (one.column >= limit) continue;
      open.push(one);
      limit = one.column;
    }
  }
  return open;
}

/** Returns a line's dashes, then its key. */
function openedBy(text: string, line: number): readonly Opened[] {
  if (isEmpty(text)) return [];
  const { indent = '', dashes = '', key } = lineStart.exec(text.trimEnd())?.groups ?? {};
  const items = [...dashes.matchAll(/-/g)].map(({ index }) => ({
    column: indent.length + index,
    line,
    key: undefined,
  }));
  return key === undefined ? items : [...items, { column: indent.length + dashes.length, line, key }];
}

const isEmpty = (line: string): boolean => /^\s*(?:#|$)/.test(line);
