import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { installPages, namesAreHeld, shownParts } from './names.ts';

const root = resolve(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(resolve(root, file), 'utf8');

/** A command that would fetch one of our packages from a public registry. */
const fetches = new RegExp(
  [
    /(?:npm|pnpm|yarn|bun) (?:i|install|add|create|init|exec|dlx|x)\b[^\n`]* @?countersign(?![\w.-]*\.tgz)/,
    /npm (?:create|init) @?countersign/,
    /(?:npx|bunx)(?: -\S+)* @?countersign[\w/-]*@/,
    /(?:npx|bunx)(?: -\S+)* @countersign\//,
    /(?:npx|bunx) -\S+ countersign/,
    /(?:pipx?|uv|pip3) (?:pip )?(?:install|add|run)[^\n`]* countersign/,
    /go (?:get|install) github\.com\/countersign/,
    /(?:docker|podman) (?:run|pull)[^\n`]* ghcr\.io\/countersign/,
  ]
    .map(({ source }) => source)
    .join('|'),
);

const withoutComments = (page: string) => page.replaceAll(/<!--.*?-->/gs, '');

test.each([
  'npm install countersign',
  'npm i -D @countersign/identity express',
  'npx -y countersign check',
  'npx countersign@latest init',
  'npx @countersign/client',
  'npm create countersign',
  'pip install countersign-identity[redis]',
  'uv add countersign-identity',
  'go get github.com/countersign/countersign/packages/verifiers/go',
  'docker run ghcr.io/countersign/countersign/gateway',
])('"%s" would fetch a package by its name', (command) => {
  expect(command).toMatch(fetches);
});

test.each([
  'npx countersign check',
  'npm install ./*.tgz express',
  'npm install ./countersign-0.1.0.tgz',
  'pip install packages/verifiers/python',
  'npm pack -w countersign',
])('"%s" takes it from the clone', (command) => {
  expect(command).not.toMatch(fetches);
});

test('until the names are held, no file shows a command that fetches a package by its name', () => {
  const files = execFileSync('git', ['-C', root, 'ls-files'], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => /\.(md|ts|tsx|js|mjs|py|go|java|json|ya?ml|template|html|sh)$/.test(file))
    .filter((file) => !/package-lock\.json$|infra\/tools\/docs\/names|docs\/releasing\.md/.test(file));
  expect(files.length).toBeGreaterThan(1000);
  const found = files.flatMap((file) => {
    const text = file.endsWith('.md') ? withoutComments(read(file)) : read(file);
    return fetches.test(text) ? [`${file}: ${fetches.exec(text)?.[0]}`] : [];
  });
  expect(namesAreHeld ? [] : found).toEqual([]);
});

test.each(installPages)('%s shows the way from the registry as soon as the names are held', (file) => {
  const [hidden, shown] = [shownParts(read(file), false), shownParts(read(file), true)];
  expect(withoutComments(hidden)).toContain('not published yet');
  expect(withoutComments(shown)).not.toContain('not published yet');
  expect(withoutComments(shown)).toMatch(fetches);
  expect(shownParts(shown, false)).toBe(hidden);
});
