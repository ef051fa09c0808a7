import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { replaceBetween } from './markdown.ts';

const page = resolve(import.meta.dirname, '../../../docs/benchmarks.md');
const maxColumns = 118;

/** Prints a result. With `write`, also puts it between the marks of docs/benchmarks.md. */
export function report(mark: string, parts: readonly string[], { write }: Readonly<{ write: boolean }>): void {
  const text = parts.map((part) => (part.startsWith('|') ? part : wrapLines(part))).join('\n\n');
  process.stdout.write(`${text}\n`);
  if (write) writeFileSync(page, replaceBetween(readFileSync(page, 'utf8'), mark, text));
}

/** Breaks a paragraph into lines that the style of our pages allows. */
export function wrapLines(paragraph: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > maxColumns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
