import type { MetricsSource } from '@countersign/service-kit';
import { AggregatorRegistry, Counter, Gauge, type MetricValue, type MetricValueWithName, Registry } from 'prom-client';
import type { Metric } from './worker-process.ts';

/** A worker, as far as the metrics of the primary need it. */
export type CountedWorker = Readonly<{
  channel: unknown;
  restarts: number;
  metrics(): Promise<readonly Metric[]>;
}>;

/** The primary's metrics: its own, and those of all workers combined. */
export function createWorkerMetrics(workers: readonly CountedWorker[]): MetricsSource {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'countersign_workers',
    help: 'Workers that serve now. Absent without --workers.',
    registers,
    collect() {
      this.set(workers.filter(({ channel }) => channel !== undefined).length);
    },
  });
  new Counter({
    name: 'countersign_worker_restarts_total',
    help: 'Workers that exited and were started again.',
    registers,
    collect() {
      this.reset();
      this.inc(workers.reduce((sum, { restarts }) => sum + restarts, 0));
    },
  });
  return {
    contentType: registry.contentType,
    async metrics() {
      const all = await Promise.all(workers.map((worker) => worker.metrics()));
      return AggregatorRegistry.aggregate([
        ...withoutOutdatedFailures(all),
        await registry.getMetricsAsJSON(),
      ]).metrics();
    },
  };
}

const isCounter = ({ type }: Metric): boolean => String(type) === 'counter';
const isTotal = (metric: Metric): boolean => isCounter(metric) || String(metric.type) === 'histogram';

const keyOf = ({ name }: Metric, value: MetricValue<string>): string =>
  `${(value as MetricValueWithName<string>).metricName ?? name} ${JSON.stringify(value.labels)}`;

/**
 * Reads the metrics of one worker, and adds what its earlier processes counted. Otherwise the sum of all workers would
 * go backwards when a process ends. Prometheus takes that for a restart, and counts the rest of the sum a second time.
 */
export class WorkerCounts {
  /** Undefined unless a process serves requests. */
  #ask: (() => Promise<readonly Metric[]>) | undefined;
  #reading: Promise<boolean> | undefined;
  #last: readonly Metric[] = [];
  /** Counts that started again at zero, one value each. */
  readonly #earlier = new Map<string, Metric>();

  /** Call when a process of the worker starts to serve. */
  begin(ask: () => Promise<readonly Metric[]>): void {
    this.#ask = ask;
  }

  /**
   * Call when the process has finished its last request. It is not asked again, and a pending answer is ignored as
   * older.
   */
  finish(metrics: readonly Metric[]): void {
    this.#ask = undefined;
    this.#replace(metrics);
  }

  /** Call when the process has ended. Its last reported counts are kept. */
  end(): void {
    this.#ask = undefined;
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

  /** A counter of an upstream or issuer starts again within a process when its configuration changes. */
  #replace(metrics: readonly Metric[]): void {
    this.#carry(this.#last.filter(isCounter), metrics.filter(isCounter));
    this.#last = metrics;
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

const ofTarget = 'countersign_upstream_target_';
const lastSuccess = `${ofTarget}last_success_timestamp_seconds`;
const lastFailure = `${ofTarget}last_failure_timestamp_seconds`;

/**
 * Removes what a worker says about a target whose last request failed, if a later request of another worker succeeded.
 * Each worker knows only its own requests, and the gauge is the lowest of all workers.
 */
function withoutOutdatedFailures(workers: readonly (readonly Metric[])[]): Metric[][] {
  const successes = timesIn(workers.flat(), lastSuccess);
  return workers.map((metrics) => {
    const failures = timesIn(metrics, lastFailure);
    const isCurrent = ({ labels }: MetricValue<string>) =>
      (failures.get(targetOf(labels)) ?? Number.POSITIVE_INFINITY) >= (successes.get(targetOf(labels)) ?? 0);
    return metrics.map((metric) =>
      metric.name === `${ofTarget}healthy` || metric.name === lastFailure
        ? { ...metric, values: metric.values.filter(isCurrent) }
        : metric,
    );
  });
}

const targetOf = ({ upstream, target }: MetricValue<string>['labels']): string => `${upstream} ${target}`;

/** The latest time of each target. */
function timesIn(metrics: readonly Metric[], name: string): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { labels, value } of metrics.flatMap((metric) => (metric.name === name ? metric.values : []))) {
    times.set(targetOf(labels), Math.max(times.get(targetOf(labels)) ?? 0, value));
  }
  return times;
}
