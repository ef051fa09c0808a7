import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const directory = resolve(import.meta.dirname, '../../../docs/decisions');
const read = (file: string) => readFileSync(resolve(directory, file), 'utf8');
const files = readdirSync(directory).filter((file) => file !== 'README.md');
const replacedBy = (status: string) => /Replaced( in part)? by \[(\d{4})\]/.exec(status);

/** The first paragraph below the title, on one line. */
const statusOf = (file: string) => read(file).split('\n\n')[1]?.replaceAll('\n', ' ') ?? '';

test.each(files)('%s has its number in its title, and a status', (file) => {
  expect(file).toMatch(/^\d{4}-[a-z0-9-]+\.md$/);
  expect(read(file)).toMatch(new RegExp(`^# ${file.slice(0, 4)}\\. \\S`));
  expect(statusOf(file)).toMatch(/^Status: (?:accepted|rejected|replaced)\b/);
});

test('a decision that replaces another one is named there', () => {
  for (const file of files)
    for (const [, older = ''] of statusOf(file).matchAll(/Replaces \[(\d{4})\]/g)) {
      const replaced = files.find((name) => name.startsWith(older)) ?? '';
      expect([older, replacedBy(statusOf(replaced))?.[2]]).toEqual([older, file.slice(0, 4)]);
    }
});

test('the index names every number up to the highest, with title and status, and the next number', () => {
  const highest = Math.max(...files.map((file) => Number(file.slice(0, 4))));
  const rows = Array.from({ length: highest }, (_, index) => {
    const number = String(index + 1).padStart(4, '0');
    const file = files.find((name) => name.startsWith(number));
    if (file === undefined) return `| ${number} | | never used |`;
    const [, title] = /^# \d{4}\. (.+)$/m.exec(read(file)) ?? [];
    const [, status] = /^Status: (\w+)/.exec(statusOf(file)) ?? [];
    const [, part, newer] = replacedBy(statusOf(file)) ?? [];
    const replacement = newer === undefined ? '' : `; replaced${part ?? ''} by ${newer}`;
    return `| [${number}](${file}) | ${title} | ${status}${replacement} |`;
  });
  expect(read('README.md').match(/^\| .*\d{4}.*$/gm)).toEqual(rows);
  expect(read('README.md')).toContain(`number is ${String(highest + 1).padStart(4, '0')}.`);
});
