import { expect, test } from '@jest/globals';
import { latencyTable } from './latency.ts';

test('shows what each server adds to the first within a round', () => {
  const rounds = [
    [
      { p50Ms: 1, p99Ms: 2 },
      { p50Ms: 1.3, p99Ms: 4 },
    ],
    [
      { p50Ms: 2, p99Ms: 9 },
      { p50Ms: 2.3, p99Ms: 10 },
    ],
  ];
  expect(latencyTable(['direct', 'gateway'], rounds).split('\n').slice(2)).toEqual([
    '| direct | 1.50 (1.00–2.00) | – | 5.50 (2.00–9.00) | – |',
    '| gateway | 1.80 (1.30–2.30) | 0.30 (0.30–0.30) | 7.00 (4.00–10.00) | 1.50 (1.00–2.00) |',
  ]);
});
