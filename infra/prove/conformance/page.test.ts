import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const docs = resolve(import.meta.dirname, '../../../docs');

test('docs/verifier-of-your-own.md shows the services as they are', () => {
  const page = readFileSync(resolve(docs, 'verifier-of-your-own.md'), 'utf8');
  const shown = Array.from(
    page.matchAll(/<!-- (\.\.\/infra\/prove\/conformance\/\S+) -->\n```\w+\n([\s\S]*?)```/g),
    ([, path = '', block = '']) => [path, block] as const,
  );
  expect(shown).toHaveLength(4);
  for (const [path, block] of shown) expect([path, block]).toEqual([path, readFileSync(resolve(docs, path), 'utf8')]);
});
