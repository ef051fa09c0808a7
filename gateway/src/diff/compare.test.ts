import { expect, test } from '@jest/globals';
import { tryPairs } from '../../test/kit/brute-force.ts';

test('lists exactly the requests that 30 random pairs of files decide differently, by brute force', async () => {
  const { wrong, counts } = await tryPairs({ firstSeed: 1, pairs: 30, requests: 150 });
  expect(wrong).toEqual([]);
  expect(counts.changed).toBeGreaterThan(1000);
}, 60_000);
