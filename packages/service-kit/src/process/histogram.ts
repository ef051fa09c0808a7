import { Histogram as PromHistogram, type Registry } from 'prom-client';

export type HistogramOptions<Label extends string> = Readonly<{
  name: string;
  help: string;
  labelNames: readonly Label[];
  /** Upper bounds, ascending, without infinity. */
  buckets: readonly number[];
  registry: Registry;
}>;

/** A histogram whose series are created once and then held by the caller. */
export type Histogram<Label extends string> = Readonly<{
  buckets: readonly number[];
  /** All series, in the order in which they were made. */
  all: readonly Series[];
  /** Adds a series. The caller asks once for each set of values, because a second series would be exported too. */
  series(labels: Readonly<Record<Label, string>>): Series;
}>;

/** The observations with one set of label values. prom-client exports them; the counts here are for the console. */
export class Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly #bounds: readonly number[];
  readonly #exported: Pick<PromHistogram.Internal<string>, 'observe'>;
  /** One count for each bucket, and a last one for larger values. */
  readonly counts: number[];
  sum = 0;

  constructor(
    labels: Readonly<Record<string, string>>,
    bounds: readonly number[],
    exported: Pick<PromHistogram.Internal<string>, 'observe'>,
  ) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#exported = exported;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
    this.#exported.observe(value);
  }
}

/** Registers a histogram of prom-client, and keeps its counts where the console can read them. */
export function createHistogram<Label extends string>(options: HistogramOptions<Label>): Histogram<Label> {
  const { buckets, registry, ...shape } = options;
  const exported = new PromHistogram({ ...shape, buckets: [...buckets], registers: [registry] });
  const all: Series[] = [];
  return {
    buckets,
    all,
    series(labels) {
      const series = new Series(labels, buckets, exported.labels(labels));
      all.push(series);
      return series;
    },
  };
}

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
