import { randomInt } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { compareParsers } from './compare-parsers.ts';

test('our parser reads 20,000 mutated responses as Node does, or refuses them', () => {
  const seed = randomInt(2 ** 32);
  process.stdout.write(`response fuzz: seed ${seed} (SEED=${seed} npm run fuzz repeats it)\n`);
  const { accepted, refusedByBoth, refusedByClient } = compareParsers(seed, 20_000);
  // A generator that makes hardly any valid responses would prove nothing.
  expect(accepted).toBeGreaterThan(5_000);
  expect(refusedByBoth).toBeGreaterThan(5_000);
  expect(refusedByClient).toBeLessThan(3_000);
});
