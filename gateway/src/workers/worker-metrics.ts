import { type Metric, type MetricsSource, registerScraped } from '@countersign/service-kit';
import { AggregatorRegistry, type MetricValue, Registry } from 'prom-client';

/** What the primary's metrics need from a worker. */
export type CountedWorker = Readonly<{
  channel: unknown;
  restarts: number;
  metrics(): Promise<readonly Metric[]>;
}>;

/** Combines the primary's own metrics with those of all workers. */
export function createWorkerMetrics(workers: readonly CountedWorker[]): MetricsSource {
  const registry = new Registry();
  registerScraped(
    {
      name: 'countersign_workers',
      help: 'Workers that are serving. Absent without --workers.',
      rows: () => [[[], workers.filter(({ channel }) => channel !== undefined).length]],
    },
    registry,
  );
  registerScraped(
    {
      name: 'countersign_worker_restarts_total',
      help: 'How many workers exited and were restarted.',
      rows: () => [[[], workers.reduce((sum, { restarts }) => sum + restarts, 0)]],
    },
    registry,
  );
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

const ofTarget = 'countersign_upstream_target_';
const lastSuccess = `${ofTarget}last_success_timestamp_seconds`;
const lastFailure = `${ofTarget}last_failure_timestamp_seconds`;

/**
 * Removes what a worker reports about a target whose last request failed, if a later request by another worker
 * succeeded. Each worker knows only its own requests, and the gauge is the lowest value among all workers.
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

/** Returns the latest time for each target. */
function timesIn(metrics: readonly Metric[], name: string): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { labels, value } of metrics.flatMap((metric) => (metric.name === name ? metric.values : []))) {
    times.set(targetOf(labels), Math.max(times.get(targetOf(labels)) ?? 0, value));
  }
  return times;
}
