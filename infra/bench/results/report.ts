import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { replaceBetween } from './markdown.ts';

const page = resolve(import.meta.dirname, '../../../docs/benchmarks.md');
const wholeLine = /(.{1,118})(?: |$)/g;

/** Prints a result. With `write`, also puts it between the marks of docs/benchmarks.md. */
export function report(mark: string, parts: readonly string[], { write }: Readonly<{ write: boolean }>): void {
  const text = parts.map((part) => (part.startsWith('|') ? part : wrapLines(part))).join('\n\n');
  process.stdout.write(`${text}\n`);
  if (write) writeFileSync(page, replaceBetween(readFileSync(page, 'utf8'), mark, text));
}

/** Wraps a paragraph at the line length that our style allows. */
export const wrapLines = (paragraph: string): string => paragraph.replace(wholeLine, '$1\n').trimEnd();
