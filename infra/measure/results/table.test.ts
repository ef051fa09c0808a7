import { expect, test } from '@jest/globals';
import { comparisonTable, latencyTable, type Sample } from './table.ts';

const sample = (perSecond: number, cpuMicros: number): Sample => ({
  perSecond,
  cpuMicros,
  askedMicros: Number.NaN,
  busy: Number.isNaN(cpuMicros) ? Number.NaN : 0.5,
  residentMb: 100,
  p50Ms: 1,
  p99Ms: 2,
});

const rowOf = (table: string, name: string) => table.split('\n').find((line) => line.startsWith(`| ${name} |`));

test('compares each server with the baseline, round by round', () => {
  const table = comparisonTable(
    new Map([
      ['limit', [sample(20_000, 50), sample(10_000, 60)]],
      ['gateway', [sample(10_000, 100), sample(5_000, 120)]],
    ]),
  );
  expect(rowOf(table, 'gateway')).toBe(
    '| gateway | 7,500 (5,000–10,000) | 0.50 | 110.0 (100.0–120.0) | 0.50 | 50% | 1.00 | 2.00 |',
  );
});

test('shows dashes without the baseline and without CPU times', () => {
  const table = comparisonTable(new Map([['gateway', [sample(10_000, Number.NaN)]]]));
  expect(rowOf(table, 'gateway')).toBe('| gateway | 10,000 (10,000–10,000) | – | – | – | – | 1.00 | 2.00 |');
});

test('shows what each server adds to the first within a round', () => {
  const table = latencyTable(
    new Map([
      [
        'direct',
        [
          { p50Ms: 1, p99Ms: 2 },
          { p50Ms: 2, p99Ms: 9 },
        ],
      ],
      [
        'gateway',
        [
          { p50Ms: 1.3, p99Ms: 4 },
          { p50Ms: 2.3, p99Ms: 10 },
        ],
      ],
    ]),
  );
  expect(table.split('\n').slice(2)).toEqual([
    '| direct | 1.50 (1.00–2.00) | – | 5.50 (2.00–9.00) | – |',
    '| gateway | 1.80 (1.30–2.30) | 0.30 (0.30–0.30) | 7.00 (4.00–10.00) | 1.50 (1.00–2.00) |',
  ]);
});
