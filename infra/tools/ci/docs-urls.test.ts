import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { docsPage } from '@countersign/process-kit';
import { expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../../..');
const listed = (...patterns: readonly string[]) =>
  execFileSync('git', ['ls-files', ...patterns], { cwd: root, encoding: 'utf8' })
    .trim()
    .split('\n');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** What a package or an image contains. Comments stay in the clone, except in templates. */
const shipped = listed(
  'gateway/src',
  'gateway/bin',
  'packages/*/src/*',
  'packages/identity/*.json',
  '*-service/src/*',
  '*-service/bin/*',
  'docs/openapi',
).filter((file) => !/\/docs-page\.ts$|\.test\.ts$|\.md$|\/node_modules\//.test(file));
const isComment = (file: string, line: string) =>
  /\.(?:[cm]?[jt]sx?|go|py)$/.test(file) && /^\s*(?:\/\/|\/?\*|""")/.test(line);

test('what is shipped names pages of docs/ by their URL', () => {
  const bare = shipped.flatMap((file) =>
    read(file)
      .split('\n')
      .filter((line) => /(?<![\w./-])docs\/[a-z]/.test(line) && !isComment(file, line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(shipped.length).toBeGreaterThan(500);
  expect(bare).toEqual([]);
});

test('each such URL is one of the repository in package.json, and leads to a page and a heading', () => {
  const { repository } = JSON.parse(read('gateway/package.json')) as { repository: { url: string } };
  expect(repository.url).toBe(`git+${docsPage('').replace(/\/blob\/main\/docs\/$/, '')}.git`);
  const written = shipped.flatMap((file) => [
    ...[...read(file).matchAll(/docsPage\('([^']+)'\)/g)].map(([, page = '']) => page),
    ...read(file)
      .split(docsPage(''))
      .slice(1)
      .map((rest) => /^[\w/.-]*\.md(?:#[\w-]+)?/.exec(rest)?.[0] ?? rest.slice(0, 40)),
  ]);
  expect(written.length).toBeGreaterThan(10);
  for (const link of new Set(written)) {
    const [page = '', anchor] = link.split('#');
    const headings = [...read(`docs/${page}`).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
    if (anchor !== undefined) expect(headings).toContain(anchor);
  }
});
