import { createMetrics, type Logger } from '@countersign/service-kit';
import { watch } from '../../gateway/src/admin/gauges.ts';
import { watchReloads } from '../../gateway/src/admin/reload-metrics.ts';
import { watchUpstreams } from '../../gateway/src/admin/upstream-metrics.ts';
import { createObserve } from '../../gateway/src/telemetry/access-log.ts';
import { observeLag } from '../../gateway/src/telemetry/revocation-lag.ts';

/** Every metric of the gateway's own as a Markdown table. That none is missing is a test of the gateway. */
export function metricsTable(): string {
  const registry = createMetrics();
  // Only their names are wanted: nothing is ever counted or read.
  const unread = (): never => {
    throw new Error('a metric was read');
  };
  createObserve({} as Logger, registry);
  observeLag(registry);
  watch({ current: unread, open: { size: 0 }, nowMs: unread }, registry);
  watchUpstreams(unread, registry);
  watchReloads({ current: unread, reloads: unread }, registry);
  const rows = (registry.getMetricsAsArray() as unknown as readonly Metric[])
    .filter(({ name }) => name.startsWith('countersign_'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((metric) => {
      const { name, help } = metric;
      const labels = metric.labelNames.map((label) => `\`${label}\``).join(' ');
      return `| \`${name}\` | ${metric.constructor.name.toLowerCase()} | ${labels} | ${help} |`;
    });
  return ['| metric | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

type Metric = Readonly<{ name: string; help: string; labelNames: readonly string[] }> & object;
