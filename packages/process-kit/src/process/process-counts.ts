import type { MetricObjectWithValues, MetricValue, MetricValueWithName } from 'prom-client';

/** A metric as prom-client writes and aggregates it. */
export type Metric = MetricObjectWithValues<MetricValue<string>>;

const isCounter = ({ type }: Metric): boolean => String(type) === 'counter';
const isTotal = (metric: Metric): boolean => isCounter(metric) || String(metric.type) === 'histogram';

const keyOf = ({ name }: Metric, value: MetricValue<string>): string =>
  `${(value as MetricValueWithName<string>).metricName ?? name} ${JSON.stringify(value.labels)}`;

/**
 * Reads the metrics of a supervised process, and adds the counts of its predecessors. Otherwise the sum would decrease
 * when a process ends, and Prometheus would treat that as a restart and count the rest again.
 */
export class ProcessCounts {
  /** Undefined unless a process is serving requests. */
  #ask: (() => Promise<readonly Metric[]>) | undefined;
  #reading: Promise<boolean> | undefined;
  #last: readonly Metric[] = [];
  /** Counts that restarted from zero, each with one value. */
  readonly #earlier = new Map<string, Metric>();

  /** Call this when a process starts to serve requests. */
  begin(ask: () => Promise<readonly Metric[]>): void {
    this.#ask = ask;
  }

  /** Call this when the process has finished its last request. A pending response is then ignored. */
  finish(metrics: readonly Metric[]): void {
    this.#ask = undefined;
    this.#replace(metrics);
  }

  /** Call this when the process has ended. Its last reported counts are kept. */
  end(): void {
    this.#ask = undefined;
    this.#carry(this.#last.filter(isTotal), []);
    this.#last = [];
  }

  /** Concurrent callers share one reading. @returns Only the counts if the process does not respond in time. */
  async read(): Promise<readonly Metric[]> {
    this.#reading ??= this.#readNow();
    const isCurrent = await this.#reading;
    return [...(isCurrent ? this.#last : this.#last.filter(isTotal)), ...this.#earlier.values()];
  }

  async #readNow(): Promise<boolean> {
    const ask = this.#ask;
    try {
      const metrics = await ask?.();
      if (metrics === undefined || ask !== this.#ask) return false;
      this.#replace(metrics);
      return true;
    } catch {
      return false;
    } finally {
      this.#reading = undefined;
    }
  }

  /** An upstream's or issuer's counter starts over within a process when its configuration changes. */
  #replace(metrics: readonly Metric[]): void {
    this.#carry(this.#last.filter(isCounter), metrics.filter(isCounter));
    this.#last = metrics;
  }

  /** Adds those counts from `before` to the earlier counts that are lower or missing in `now`. */
  #carry(before: readonly Metric[], now: readonly Metric[]): void {
    const current = new Map(now.flatMap((metric) => metric.values.map((one) => [keyOf(metric, one), one.value])));
    for (const metric of before) {
      for (const one of metric.values) {
        const key = keyOf(metric, one);
        if ((current.get(key) ?? -1) >= one.value) continue;
        const earlier = this.#earlier.get(key)?.values[0]?.value ?? 0;
        this.#earlier.set(key, { ...metric, values: [{ ...one, value: earlier + one.value }] });
      }
    }
  }
}
