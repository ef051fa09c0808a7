import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { importProblems } from './check-imports.ts';

const rules = {
  'a-service/src': { layers: ['main.ts', 'routes', 'store', 'domain'], forbidden: { domain: ['node:fs'] } },
};
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'check-imports-'));
  write({
    'package.json': '{ "workspaces": ["packages/*", "a-service", "b-service", "infra"] }',
    'packages/kit/package.json': '{ "name": "@x/kit", "exports": { ".": { "source": "./src/index.ts" } } }',
    'packages/kit/src/index.ts': 'export const kit = 1;',
    'a-service/package.json': '{ "name": "@x/a-service" }',
    'b-service/package.json': '{ "name": "@x/b-service" }',
    'infra/package.json': '{ "name": "@x/infra" }',
  });
});
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

test('accepts imports in layer order, and packages', () => {
  write({
    'a-service/src/main.ts': `import { list } from './routes/list.ts'; import { kit } from '@x/kit'; list(kit);`,
    'a-service/src/routes/list.ts': `import type { Rule } from '../domain/rule.ts'; export { page } from './page.ts';`,
    'a-service/src/routes/page.ts': `export const page = 1;`,
    'a-service/src/domain/rule.ts': `import { z } from 'zod'; export type Rule = 1;`,
    'infra/run/start.ts': `import '../a-service/src/main.ts'; import '@x/b-service';`,
  });
  expect(importProblems(root, rules)).toEqual([]);
});

test.each([
  ['values', `import { b } from './b.ts'; export const a = b;`],
  ['types', `import type { B } from './b.ts'; export type A = B;`],
  ['a type next to a value', `import { type B, b } from './b.ts'; export type A = B;`],
  ['a type imported by path', `export type A = import('./b.ts').B;`],
  ['the type of a module', `export type A = typeof import('./b.ts');`],
  ['a dynamic import', `export const a = async () => (await import('./b.ts')).b;`],
  ['a re-export', `export { b } from './b.ts';`],
  ['a wildcard re-export', `export * from './b.ts';`],
])('reports the files of a cycle through %s', (_what, text) => {
  write({
    'b-service/src/a.ts': text,
    'b-service/src/b.ts': `import type {} from './c.ts';`,
    'b-service/src/c.ts': `import './a.ts';`,
  });
  expect(importProblems(root, rules)).toEqual([
    'a cycle:\n  b-service/src/a.ts\n  b-service/src/b.ts\n  b-service/src/c.ts\n  b-service/src/a.ts',
  ]);
});

test('finds a cycle through a package, and several cycles through one file', () => {
  write({
    'packages/kit/src/index.ts': `export * from './more.ts'; export * from './rest.ts';`,
    'packages/kit/src/more.ts': `import '@x/kit';`,
    'packages/kit/src/rest.ts': `import './rest.ts';`,
  });
  expect(importProblems(root, rules)).toEqual([
    'a cycle:\n  packages/kit/src/index.ts\n  packages/kit/src/more.ts\n  packages/kit/src/index.ts',
    'a cycle:\n  packages/kit/src/rest.ts\n  packages/kit/src/rest.ts',
  ]);
});

const order = 'against main.ts → routes → store → domain';
test.each([
  ['store/rows.ts', `import '../routes/list.ts';`, `imports a-service/src/routes/list.ts: ${order}`],
  ['domain/rule.ts', `import type { Row } from '../store/rows.ts';`, `imports a-service/src/store/rows.ts: ${order}`],
  ['domain/rule.ts', `import '../../test/world.ts';`, `imports a-service/test/world.ts: ${order}`],
  ['domain/rule.ts', `import 'node:fs';`, 'imports node:fs: domain must not'],
  [
    'domain/rule.ts',
    `import type { FileHandle } from 'node:fs/promises';`,
    'imports node:fs/promises: domain must not',
  ],
  [
    'routes/list.ts',
    `import '../../../b-service/src/main.ts';`,
    'imports b-service/src/main.ts: only infra/ imports services',
  ],
  ['routes/list.test.ts', `import '@x/b-service';`, 'imports b-service/package.json: only infra/ imports services'],
  ['extra/more.ts', `import 'zod';`, 'is in no layer of a-service/src: add it to import-rules.ts'],
])('refuses an import in %s: %s', (file, text, problem) => {
  write({ [`a-service/src/${file}`]: text });
  expect(importProblems(root, rules)).toEqual([`a-service/src/${file} ${problem}`]);
});

test('refuses a package that imports a service', () => {
  write({ 'packages/kit/src/index.ts': `import '../../../a-service/src/main.ts';` });
  expect(importProblems(root, rules)).toEqual([
    'packages/kit/src/index.ts imports a-service/src/main.ts: only infra/ imports services',
  ]);
});

test('restricts the tests of a folder whose rules say so', () => {
  write({
    'infra/run/secrets.test.ts': `import '../prove/e2e/line.test.ts';`,
    'infra/prove/e2e/line.test.ts': 'export {};',
  });
  const problem = 'infra/run/secrets.test.ts imports infra/prove/e2e/line.test.ts: against prove → run';
  expect(importProblems(root, { infra: { layers: ['prove', 'run'], withTests: true } })).toEqual([problem]);
});

test('does not restrict tests within their workspace', () => {
  write({ 'a-service/src/domain/rule.test.ts': `import '../main.ts'; import 'node:fs';` });
  expect(importProblems(root, rules)).toEqual([]);
});

test('reports an import that it cannot read', () => {
  write({ 'a-service/src/main.ts': `const name = './x.ts'; await import(name);` });
  expect(() => importProblems(root, rules)).toThrow(/main.ts: import\(\) of a computed name/);
});

test('refuses a devDependency in src, because an installed package would not have it', () => {
  write({
    'a-service/package.json': '{ "name": "@x/a-service", "devDependencies": { "mocker": "1", "@x/kit": "1" } }',
    'a-service/src/main.ts': `import 'mocker/deep'; import '@x/kit';`,
    'a-service/src/main.test.ts': `import 'mocker';`,
    'a-service/test/line.ts': `import 'mocker';`,
  });
  expect(importProblems(root, rules)).toEqual([
    'a-service/src/main.ts imports mocker/deep: an installed package has no devDependencies',
  ]);
});
