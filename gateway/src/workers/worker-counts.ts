import type { MetricValueWithName } from 'prom-client';
import type { Metric, WorkerAdminClient } from './worker-admin.ts';

type Value = Metric['values'][number];

const isCounter = ({ type }: Metric): boolean => String(type) === 'counter';
const isTotal = (metric: Metric): boolean => isCounter(metric) || String(metric.type) === 'histogram';

const keyOf = ({ name }: Metric, value: Value): string =>
  `${(value as MetricValueWithName<string>).metricName ?? name} ${JSON.stringify(value.labels)}`;

/**
 * Reads the metrics of one worker, and adds what its earlier processes counted. Otherwise the sum of all workers would go
 * backwards when a process ends. Prometheus takes that for a restart, and counts the rest of the sum a second time.
 */
export class WorkerCounts {
  #admin: Pick<WorkerAdminClient, 'metrics'> | undefined;
  #reading: Promise<boolean> | undefined;
  #last: readonly Metric[] = [];
  /** Counts that started again at zero, one value each. */
  readonly #earlier = new Map<string, Metric>();

  /** A process of the worker serves. */
  begin(admin: Pick<WorkerAdminClient, 'metrics'>): void {
    this.#admin = admin;
  }

  /** The process has ended. It counts what was read last. */
  end(): void {
    this.#admin = undefined;
    this.#carry(this.#last.filter(isTotal), []);
    this.#last = [];
  }

  /**
   * Concurrent callers share one reading.
   *
   * @returns Only the counts, not the states, if the process does not answer in time.
   */
  async read(): Promise<readonly Metric[]> {
    this.#reading ??= this.#readNow();
    const isCurrent = await this.#reading;
    return [...(isCurrent ? this.#last : this.#last.filter(isTotal)), ...this.#earlier.values()];
  }

  async #readNow(): Promise<boolean> {
    const admin = this.#admin;
    try {
      const metrics = await admin?.metrics();
      // What an ended process counted has been added to the earlier counts.
      if (metrics === undefined || admin !== this.#admin) return false;
      // A counter of an upstream or issuer starts again within a process when its configuration changes.
      this.#carry(this.#last.filter(isCounter), metrics.filter(isCounter));
      this.#last = metrics;
      return true;
    } catch {
      return false;
    } finally {
      this.#reading = undefined;
    }
  }

  /** Adds the counts of `before` that are lower or missing in `now` to the earlier ones. */
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
