import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { refusalReasons, unavailableReasons } from '@countersign/identity';
import { expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');

/** The anchors that GitHub derives from headings. */
const anchorsOf = (file: string) =>
  [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

test.each(pages)('%s: every link leads to a file in the repository, and to a heading in it', (page) => {
  const text = read(page).replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
    ([, link, src]) => link ?? src ?? '',
  );
  const broken = links
    .filter((link) => !/^(?:https?|mailto):/.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(root, file))) return true;
      return anchor !== undefined && file.endsWith('.md') && !anchorsOf(file).includes(anchor);
    });
  expect(broken).toEqual([]);
});

test('docs/README.md links to every page in docs/, and docs/decisions/README.md to each decision', () => {
  const index = read('docs/README.md') + read('docs/decisions/README.md').replaceAll('](0', '](decisions/0');
  const missing = pages
    .filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')
    .filter((page) => !index.includes(`](${page.slice('docs/'.length)}`));
  expect(missing).toEqual([]);
});

test('docs/debugging.md: every code is in docs/errors.md or is a reason of the verifier', () => {
  const known = [...read('docs/errors.md').matchAll(/`([a-z_]+)`/g)].map(([, code]) => code);
  const reasons: readonly (string | undefined)[] = [
    ...known,
    ...refusalReasons,
    ...unavailableReasons,
    'identity_not_allowed',
  ];
  const codes = [...read('docs/debugging.md').matchAll(/^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|/gm)].flatMap(
    ([, cell = '']) => cell.replaceAll('`', '').split(', '),
  );
  expect(codes.length).toBeGreaterThan(20);
  expect(codes.filter((code) => !reasons.includes(code))).toEqual([]);
});

test('docs/breakpoints.md names the line that every request passes', () => {
  const [, file = '', line = ''] = /setBreakpoint\('([a-z-]+\.ts)', (\d+)\)/.exec(read('docs/breakpoints.md')) ?? [];
  expect(read(`gateway/src/pipeline/${file}`).split('\n')[Number(line) - 1]).toContain('parseRequestTarget(');
});

test('docs/threat-model.md names suites that exist', () => {
  const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  const tests = files.filter((file) => file.endsWith('.test.ts'));
  const text = read('docs/threat-model.md');
  const cells = [...text.matchAll(/^\|.*\| ([^|]+) \|$/gm)].map(([, cell = '']) => cell);
  const inline = [...text.matchAll(/(?<![\w/`(-])\(?((?:[\w-]+\/)+[\w.-]+(?:, [\w/.-]+)*)\)?/g)].map(
    ([, list = '']) => list,
  );
  const named = [...cells, ...inline].filter((list) => /^(?:gateway|packages|infra|web|[a-z]+-service)\//.test(list));
  const paths = named.flatMap((list) => {
    const [first = '', ...others] = list.split(', ');
    return [first, ...others.map((name) => (name.includes('/') ? name : join(dirname(first), name)))];
  });
  expect(new Set(paths).size).toBeGreaterThan(40);
  const bare = (path: string) => path.replace(/(?:\.(?:int|slow|nightly|postgres|test|ts))*\.?$/, '');
  const isSuite = (path: string) =>
    tests.some((file) => file.startsWith(`${bare(path)}/`) || bare(file) === bare(path));
  expect([...new Set(paths)].filter((path) => !isSuite(path) && !files.includes(path))).toEqual([]);
});

test('README.md has fewer than 120 lines, and at most five further links', () => {
  expect(
    read('README.md')
      .replaceAll(/<!--.*?-->\n/gs, '')
      .split('\n').length,
  ).toBeLessThan(120);
  expect(read('README.md').split('## Where to go next')[1]?.match(/^- \[/gm)).toHaveLength(5);
});
