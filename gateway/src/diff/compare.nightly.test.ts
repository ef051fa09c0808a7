import { expect, test } from '@jest/globals';
import { tryPairs } from '../../test/kit/brute-force.ts';

test('lists exactly the requests that 200 random pairs of files decide differently, by brute force', async () => {
  const { wrong, counts } = await tryPairs({ firstSeed: 1000, pairs: 200, requests: 1000 });
  expect(wrong).toEqual([]);
  expect(counts.unknown).toBe(0);
  expect(counts.asked).toBe(200_000);
  expect(counts.changed).toBeGreaterThan(60_000);
}, 1_800_000);
