import { createMetrics } from '@countersign/service-kit';
import { registerGauges, registerReloadMetrics } from '../../gateway/src/admin/gauges.ts';
import { registerSignatureMetrics } from '../../gateway/src/admin/signature-metrics.ts';
import { registerUpstreamMetrics } from '../../gateway/src/admin/upstream-metrics.ts';
import { createRequestMetrics, createRevocationLagMetric } from '../../gateway/src/metrics/metrics.ts';

/** Every metric of the gateway's own as a Markdown table. That none is missing is a test of the gateway. */
export function metricsTable(): string {
  const registry = createMetrics();
  // Only their names are wanted: nothing is ever counted or read.
  const unread = (): never => {
    throw new Error('a metric was read');
  };
  createRequestMetrics(registry);
  createRevocationLagMetric(registry);
  registerGauges({ current: unread, connections: { size: 0 }, bodies: { bytes: 0 }, nowMs: unread }, registry);
  registerSignatureMetrics(unread, registry);
  registerUpstreamMetrics(unread, registry);
  registerReloadMetrics({ current: unread, reloads: unread }, registry);
  const rows = (registry.getMetricsAsArray() as unknown as readonly Metric[])
    .filter(({ name }) => name.startsWith('countersign_'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((metric) => {
      const { name, help, type } = metric;
      const labels = metric.labelNames.map((label) => `\`${label}\``).join(' ');
      return `| \`${name}\` | ${type} | ${labels} | ${help} |`;
    });
  return ['| metric | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

type Metric = Readonly<{ name: string; help: string; type: string; labelNames: readonly string[] }>;
