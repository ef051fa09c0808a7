import type { MetricObjectWithValues, MetricValue } from 'prom-client';

type Metrics = readonly MetricObjectWithValues<MetricValue<string>>[];

const prefix = 'countersign_upstream_target_';
const healthy = `${prefix}healthy`;
const lastSuccess = `${prefix}last_success_timestamp_seconds`;
const lastFailure = `${prefix}last_failure_timestamp_seconds`;

/**
 * Removes what a worker says about a target whose last request failed, if a later request of another worker succeeded.
 * Each worker knows only its own requests, and the gauge is the lowest of all workers.
 */
export function withoutOutdatedFailures(workers: readonly Metrics[]): Metrics[] {
  const successes = new Map<string, number>();
  for (const metrics of workers) {
    for (const [key, seconds] of valuesIn(metrics, lastSuccess)) {
      successes.set(key, Math.max(successes.get(key) ?? 0, seconds));
    }
  }
  return workers.map((metrics) => {
    const failures = new Map(valuesIn(metrics, lastFailure));
    const isCurrent = ({ labels }: MetricValue<string>) =>
      (failures.get(keyOf(labels)) ?? Number.POSITIVE_INFINITY) >= (successes.get(keyOf(labels)) ?? 0);
    return metrics.map((metric) =>
      metric.name === healthy || metric.name === lastFailure
        ? { ...metric, values: metric.values.filter(isCurrent) }
        : metric,
    );
  });
}

const keyOf = ({ upstream, target }: Partial<Record<string, string | number>>): string => `${upstream} ${target}`;

const valuesIn = (metrics: Metrics, name: string): (readonly [key: string, value: number])[] =>
  metrics
    .filter((metric) => metric.name === name)
    .flatMap(({ values }) => values.map(({ labels, value }) => [keyOf(labels), value] as const));
