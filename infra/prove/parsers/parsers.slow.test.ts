import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compare, corpusOf, openReaders, type Readers } from './compare.ts';
import { targets } from './targets.ts';

let readers: Readers;
beforeAll(() => {
  readers = openReaders();
});
afterAll(() => readers.close());

test.each(Object.keys(targets))('all parsers read the corpus of %s in the same way', async (target) => {
  const differences = await compare(target, corpusOf(target), readers);
  expect(differences.filter((one) => one !== undefined)).toEqual([]);
});
