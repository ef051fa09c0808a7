/**
 * @param counts For each bucket, the last one without an upper bound.
 * @param bounds The upper bounds, ascending.
 * @returns The quantile, interpolated within its bucket. Undefined without observations.
 */
export function quantileOf(share: number, counts: readonly number[], bounds: readonly number[]): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let rank = share * total;
  for (const [bucket, count] of counts.entries()) {
    const upper = bounds[bucket];
    // Longer than the last bound: the bound is all that is known.
    if (upper === undefined) break;
    if (count > 0 && rank <= count) {
      const lower = bounds[bucket - 1] ?? 0;
      return lower + (upper - lower) * (rank / count);
    }
    rank -= count;
  }
  return bounds.at(-1);
}
