/** The median of some measurements, and their spread. */
export type Spread = Readonly<{ median: number; min: number; max: number }>;

/** @param share Between 0 and 1. @returns The smallest value that this share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** @returns The mean of the two middle values if their number is even. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * Compares two servers round by round. The rounds are interleaved, so both had the same conditions.
 *
 * @returns The median of the ratios. Undefined if a value is missing.
 */
export function ratioOf(
  values: readonly (number | undefined)[],
  to: readonly (number | undefined)[],
): number | undefined {
  const ratios = values.map((value, round) => {
    const other = to[round];
    return value === undefined || other === undefined ? Number.NaN : value / other;
  });
  return ratios.length === 0 || ratios.some(Number.isNaN) ? undefined : median(ratios);
}
