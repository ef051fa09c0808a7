import { expect, test } from '@jest/globals';
import type { Sample } from '../rounds.ts';
import { comparisonTable } from './comparison.ts';

const sample = (perSecond: number, cpuMicros: number | undefined): Sample => ({
  perSecond,
  cpuMicros,
  askedMicros: undefined,
  busy: cpuMicros === undefined ? undefined : 0.5,
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
  const table = comparisonTable(new Map([['gateway', [sample(10_000, undefined)]]]));
  expect(rowOf(table, 'gateway')).toBe('| gateway | 10,000 (10,000–10,000) | – | – | – | – | 1.00 | 2.00 |');
});
