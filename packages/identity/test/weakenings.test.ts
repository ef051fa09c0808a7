import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { compile, isFaulty, load, src } from './load-library.ts';
import { weakenings } from './weakenings.ts';

test.each(weakenings)('some vector finds: %s', async (_name, ...changes) => {
  const changed = new Map<string, string>();
  for (const [file, from, to] of changes) {
    const source = changed.get(file) ?? readFileSync(resolve(src, file), 'utf8');
    expect([file, source.split(from).length]).not.toEqual([file, 1]);
    changed.set(
      file,
      source.replaceAll(from, () => to),
    );
  }
  const library = load(Object.fromEntries(Array.from(changed, ([file, source]) => [file, compile(source)])));
  expect(await isFaulty(library)).toBe(true);
});
