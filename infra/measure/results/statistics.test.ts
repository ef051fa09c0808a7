import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { median, quantile, ratioOf, spreadOf } from './statistics.ts';

describe('quantile', () => {
  test.each([
    [0, 1],
    [0.01, 1],
    [0.5, 50],
    [0.99, 99],
    [0.991, 100],
    [1, 100],
  ])('the quantile of 1 to 100 at %p is %p', (share, value) => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(quantile(values, share)).toBe(value);
  });

  test('a quantile is one of the values, and at least this share of the values does not exceed it', () => {
    const doubles = fc.array(fc.double({ noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(doubles, fc.double({ min: 0, max: 1, noNaN: true }), (values, share) => {
        const value = quantile(values, share);
        expect(values).toContain(value);
        expect(values.filter((other) => other <= value).length).toBeGreaterThanOrEqual(share * values.length);
      }),
    );
  });

  test('the quantile of no values is NaN', () => {
    expect(quantile([], 0.5)).toBeNaN();
  });
});

test.each([
  [[3], 3],
  [[3, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
])('the median of %p is %p', (values, expected) => {
  expect(median(values)).toBe(expected);
});

test('a spread has the median, the smallest and the largest value', () => {
  expect(spreadOf([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
});

test('a ratio is the median of the ratios of all rounds, so that a slow round does not change it', () => {
  expect(ratioOf([50, 5, 50], [100, 10, 90])).toBe(0.5);
});

test.each([
  ['no rounds', [], []],
  ['a value that could not be measured', [1, Number.NaN, 1], [1, 1, 1]],
  ['a missing baseline', [1], []],
])('no ratio exists with %s', (_case, values, to) => {
  expect(ratioOf(values, to)).toBeNaN();
});
