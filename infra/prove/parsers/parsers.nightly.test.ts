import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fuzz, openReaders, type Readers } from './compare.ts';

let readers: Readers;
beforeAll(() => {
  readers = openReaders();
});
afterAll(() => readers.close());

/** An hour is FUZZ_SECONDS=3600. FUZZ_SEED repeats a run. */
const seconds = Number(process.env.FUZZ_SECONDS ?? 60);
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);

test(
  `all parsers read mutated inputs in the same way for ${seconds} s`,
  async () => {
    const { differences, counts } = await fuzz(seed, seconds, readers);
    process.stdout.write(`seed ${seed}: ${JSON.stringify(counts)}\n`);
    expect(differences).toEqual([]);
    expect(Object.keys(counts)).toHaveLength(5);
  },
  (seconds + 120) * 1000,
);
