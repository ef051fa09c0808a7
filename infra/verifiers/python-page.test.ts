import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const repository = resolve(import.meta.dirname, '../..');

/** Every block of Python in a page that a comment above it names. */
function namedBlocks(page: string): [name: string, text: string][] {
  const text = readFileSync(resolve(repository, page), 'utf8');
  return [...text.matchAll(/<!-- (\S+\.py) -->\n```python\n([\s\S]*?)```/g)].map(([, name = '', block = '']) => [
    name,
    block,
  ]);
}

test.each([
  ['docs/service-in-python.md', 2],
  ['packages/verifiers/python/README.md', 1],
] as const)('%s shows the examples as they are', (page, count) => {
  const examples = namedBlocks(page).filter(([name]) => name.includes('examples/'));
  expect(examples).toHaveLength(count);
  for (const [name, block] of examples) {
    expect([name, block]).toEqual([name, readFileSync(resolve(repository, dirname(page), name), 'utf8')]);
  }
});
