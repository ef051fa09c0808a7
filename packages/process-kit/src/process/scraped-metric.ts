import { Counter, Gauge, type Registry } from 'prom-client';

/** Label values and the metric's value. An undefined value is not exported, not even as 0. */
export type MetricRow = readonly [labels: readonly string[], value: number | undefined];

export type ScrapedMetric = Readonly<{
  name: string;
  help: string;
  labels?: readonly string[];
  /** How to combine the values of several processes, by default as their sum. */
  aggregator?: 'min' | 'max';
  rows(): Iterable<MetricRow>;
}>;

/** Registers a metric whose values are read when it is scraped: a counter if its name ends in `_total`, or a gauge. */
export function registerScraped(
  { name, help, labels = [], aggregator, rows }: ScrapedMetric,
  registry: Registry,
): void {
  const options = { name, help, labelNames: labels, registers: [registry] };
  const named = (values: readonly string[]) => Object.fromEntries(values.map((value, at) => [labels[at] ?? '', value]));
  if (name.endsWith('_total')) {
    new Counter({
      ...options,
      collect() {
        this.reset();
        for (const [values, value] of rows()) if (value !== undefined) this.inc(named(values), value);
      },
    });
    return;
  }
  new Gauge({
    ...options,
    ...(aggregator && { aggregator }),
    collect() {
      // Also drops the values of removed items. Without labels, a reset sets 0.
      this.reset();
      if (labels.length === 0) this.remove();
      for (const [values, value] of rows()) if (value !== undefined) this.set(named(values), value);
    },
  });
}
