import { createMetrics } from '@countersign/service-kit';
import { registerScrapedMetrics } from '../../gateway/src/admin/scraped-metrics.ts';
import { createRequestMetrics, createRevocationLagMetric } from '../../gateway/src/metrics/metrics.ts';

/** Returns the gateway's own metrics as a Markdown table. A gateway test checks that none is missing. */
export function metricsTable(): string {
  const registry = createMetrics();
  // Only the names are needed, so nothing is counted or read.
  const unread = (): never => {
    throw new Error('a metric was read');
  };
  createRequestMetrics(registry);
  createRevocationLagMetric(registry);
  const reads = { current: unread, reloads: unread, redisStatus: unread, nowMs: unread };
  const sources = { ...reads, connections: { size: 0 }, bodies: { bytes: 0 } };
  registerScrapedMetrics(sources, registry);
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
