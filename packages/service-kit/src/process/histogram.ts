import type { Metric, MetricObjectWithValues, MetricType, MetricValueWithName, Registry } from 'prom-client';

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

/** The observations with one set of label values. */
export class Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly #bounds: readonly number[];
  /** One count for each bucket, and a last one for larger values. */
  readonly counts: number[];
  sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }

  clear(): void {
    this.counts.fill(0);
    this.sum = 0;
  }
}

/**
 * Registers a histogram that prom-client exports and aggregates like its own. prom-client hashes the labels of each
 * observation, which costs more than the observation.
 */
export function createHistogram<Label extends string>(options: HistogramOptions<Label>): Histogram<Label> {
  const { name, help, labelNames, buckets, registry } = options;
  const all: Series[] = [];
  const metric = {
    name,
    help,
    type: 'histogram',
    labelNames,
    get: async () => exported(options, all),
    reset() {
      for (const series of all) series.clear();
    },
  };
  // The registry only calls `get` and `reset`. Its type names the four classes of prom-client.
  registry.registerMetric(metric as unknown as Metric<Label>);
  return {
    buckets,
    all,
    series(labels) {
      const series = new Series(labels, buckets);
      all.push(series);
      return series;
    },
  };
}

type Exported = Omit<MetricObjectWithValues<MetricValueWithName<string>>, 'collect'>;

function exported({ name, help, buckets }: HistogramOptions<string>, all: readonly Series[]): Exported {
  const values: MetricValueWithName<string>[] = [];
  for (const { labels, counts, sum } of all) {
    let count = 0;
    for (const [at, le] of [...buckets, '+Inf'].entries()) {
      count += counts[at] as number;
      values.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: count });
    }
    values.push({ metricName: `${name}_sum`, labels, value: sum });
    values.push({ metricName: `${name}_count`, labels, value: count });
  }
  return { name, help, type: 'histogram' as unknown as MetricType, values, aggregator: 'sum' };
}
