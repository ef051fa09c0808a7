import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { pages } from './pages.ts';

test.each(pages)('%s matches the code (`npm run docs` writes it)', (file, render) => {
  const current = readFileSync(resolve(import.meta.dirname, '../../..', file), 'utf8');
  expect(current).toBe(render(current));
});
