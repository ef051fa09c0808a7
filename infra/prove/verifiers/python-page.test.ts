import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const repository = resolve(import.meta.dirname, '../../..');

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

test('docs/service-in-python.md installs each package before the code or the command that needs it', () => {
  const text = readFileSync(resolve(repository, 'docs/service-in-python.md'), 'utf8');
  const known = new Set(['json', 'os', 'typing', 'countersign_identity', 'mysite']);
  const missing: string[] = [];
  for (const [block, installs, code, shell] of text.matchAll(
    /pip install ([\w ./]+)|```python\n([\s\S]*?)```|^(uvicorn|flask|gunicorn|pytest)\b/gm,
  )) {
    for (const name of installs?.split(' ') ?? [])
      known.add(name.replace(/.*verifiers\/python/, 'countersign_identity'));
    const imported = [...(code ?? '').matchAll(/^\s*(?:import|from) (\w+)/gm)].map(([, name = '']) => name);
    for (const name of shell === undefined ? imported : [shell])
      if (!known.has(name)) missing.push(`${name}: ${block.slice(0, 40)}`);
  }
  expect(known.size).toBeGreaterThan(10);
  expect(missing).toEqual([]);
});
