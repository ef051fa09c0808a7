import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const repository = resolve(import.meta.dirname, '../..');
const rootOf = (file: string) => /:root \{.*?\n\}/s.exec(readFileSync(resolve(repository, file), 'utf8'))?.[0] ?? '';
const variablesOf = (root: string) =>
  Object.fromEntries([...root.matchAll(/^ {2}(--[\w-]+): ([^;]+);$/gm)].map(([, name, value]) => [name, value]));

test('the account pages have the colors and the type of the console', () => {
  const console = rootOf('packages/console/src/assets/console.css');
  const account = rootOf('auth-service/src/routes/pages/assets/account.css');
  expect(Object.keys(variablesOf(account)).length).toBeGreaterThan(10);
  expect(variablesOf(console)).toMatchObject(variablesOf(account));
  const typeOf = (root: string) => /font:[^;]+;/s.exec(root)?.[0];
  expect(typeOf(account)).toBe(typeOf(console));
});
