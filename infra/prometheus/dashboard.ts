// `npm run docs` writes infra/prometheus/dashboard.json from this.

type Query = readonly [expr: string, legend: string];
type Panel = Readonly<{
  title: string;
  /** A Grafana unit. */
  unit: 'reqps' | 's' | 'short' | 'bytes' | 'percentunit' | 'ops';
  queries: readonly Query[];
}>;

const now = (metric: string) => `${metric}{instance=~"$instance"}`;
const rate = (metric: string) => `rate(${now(metric)}[$__rate_interval])`;
const quantile = (share: number, by: string, histogram: string) =>
  `histogram_quantile(${share}, sum by (le${by && `, ${by}`}) (${rate(`${histogram}_bucket`)}))`;
const quantiles = (histogram: string): readonly Query[] => [
  [quantile(0.5, '', histogram), 'p50'],
  [quantile(0.95, '', histogram), 'p95'],
  [quantile(0.99, '', histogram), 'p99'],
];
const panel = (title: string, unit: Panel['unit'], ...queries: readonly Query[]): Panel => ({ title, unit, queries });

/** Other applications have metrics with these names too. */
const ours = '{job=~"(auth|users|complaint)-service"}';
const requests = 'countersign_request_duration_seconds';
const rows: Readonly<Record<string, readonly Panel[]>> = {
  Requests: [
    panel('Requests by status', 'reqps', [`sum by (status) (${rate(`${requests}_count`)})`, '{{status}}']),
    panel('Duration, streams included', 's', ...quantiles(requests)),
    panel('p99 of the ten slowest routes', 's', [`topk(10, ${quantile(0.99, 'route', requests)})`, '{{route}}']),
    panel('Refusals by fault and code', 'reqps', [
      `sum by (fault, code) (${rate('countersign_refusals_total')}) > 0`,
      '{{fault}} {{code}}',
    ]),
    panel('Requests by route', 'reqps', [`topk(10, sum by (route) (${rate(`${requests}_count`)}))`, '{{route}}']),
    panel('Firing alerts', 'short', [
      'sum by (alertname, severity) (ALERTS{alertstate="firing", alertname=~"Countersign.*"}) or vector(0)',
      '{{severity}} {{alertname}}',
    ]),
  ],
  Upstreams: [
    panel('Requests', 'reqps', [
      `sum by (upstream) (${rate('countersign_upstream_duration_seconds_count')})`,
      '{{upstream}}',
    ]),
    panel('p99 until the response starts', 's', [
      quantile(0.99, 'upstream', 'countersign_upstream_duration_seconds'),
      '{{upstream}}',
    ]),
    panel('Targets: 1 healthy, 0 not', 'short', [
      `min by (upstream, target) (${now('countersign_upstream_target_healthy')})`,
      '{{upstream}} {{target}}',
    ]),
    panel('Breakers: 0 closed, 1 half open, 2 open', 'short', [
      `max by (upstream) (${now('countersign_upstream_breaker_state')})`,
      '{{upstream}}',
    ]),
    panel(
      'Retries',
      'ops',
      [`sum by (upstream) (${rate('countersign_upstream_retries_total')})`, '{{upstream}}'],
      [`sum by (upstream) (${rate('countersign_upstream_retries_over_budget_total')})`, '{{upstream}} over budget'],
    ),
    panel('Signatures by key type', 'ops', [
      `sum by (upstream, algorithm) (${rate('countersign_signatures_total')}) > 0`,
      '{{upstream}} {{algorithm}}',
    ]),
  ],
  Tokens: [
    panel('Token lookups', 'ops', [`sum by (result) (${rate('countersign_token_cache_lookups_total')})`, '{{result}}']),
    panel('Key set age', 's', [`max by (issuer) (${now('countersign_jwks_age_seconds')})`, '{{issuer}}']),
    panel('Known keys', 'short', [`min by (issuer) (${now('countersign_jwks_keys')})`, '{{issuer}}']),
    panel('Revocation staleness', 's', [
      `max by (issuer) (${now('countersign_revocations_staleness_seconds')})`,
      '{{issuer}}',
    ]),
    panel('Until a revocation is in force', 's', ...quantiles('countersign_revocation_lag_seconds')),
    panel('Active revocations', 'short', [`max by (issuer) (${now('countersign_revocations_held')})`, '{{issuer}}']),
  ],
  'Gateway processes': [
    panel('CPU', 'percentunit', [rate('process_cpu_seconds_total'), '{{instance}}']),
    panel('Memory', 'bytes', [now('process_resident_memory_bytes'), '{{instance}}']),
    panel('Event loop lag, p99', 's', [now('nodejs_eventloop_lag_p99_seconds'), '{{instance}}']),
    panel('WebSockets and event streams', 'short', [now('countersign_open_connections'), '{{instance}}']),
    panel('Request bodies in memory', 'bytes', [now('countersign_buffered_body_bytes'), '{{instance}}']),
    panel('Active configurations', 'short', [`sum by (hash) (${now('countersign_config_info')})`, '{{hash}}']),
  ],
  Services: [
    panel('Requests', 'reqps', [
      `sum by (job) (rate(http_request_duration_seconds_count${ours}[$__rate_interval]))`,
      '{{job}}',
    ]),
    panel('p99', 's', [
      `histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket${ours}[$__rate_interval])))`,
      '{{job}}',
    ]),
    panel("Age of the gateway's keys", 's', ['max by (job) (gateway_keys_age_seconds)', '{{job}}']),
    panel('Logins waiting for a hash', 'short', ['sum by (job) (auth_password_hashes_waiting)', '{{job}}']),
    panel('Refreshes by outcome', 'ops', [
      'sum by (outcome) (rate(auth_refreshes_total[$__rate_interval]))',
      '{{outcome}}',
    ]),
    panel(
      'Oldest waiting delivery',
      's',
      ['max by (topic) (auth_outbox_oldest_seconds)', 'accounts {{topic}}'],
      ['max by (topic) (complaints_outbox_oldest_seconds)', 'complaints {{topic}}'],
    ),
  ],
};

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana
const datasource = { type: 'prometheus', uid: '${datasource}' };
const variables = [
  { name: 'datasource', type: 'datasource', query: 'prometheus' },
  {
    name: 'instance',
    label: 'Gateway',
    type: 'query',
    datasource,
    query: { query: 'label_values(countersign_config_info, instance)', refId: 'instance' },
    refresh: 2,
    includeAll: true,
    multi: true,
    current: { text: 'All', value: '$__all' },
  },
];
const height = 8;
const perRow = 3;

/** Returns a dashboard for Grafana 10 or later. */
export function dashboard(): object {
  let id = 0;
  let y = 0;
  const panels = Object.entries(rows).flatMap(([title, inRow]) => {
    const header = { id: ++id, type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } };
    const below = inRow.map(({ title: name, unit, queries }, at) => ({
      id: ++id,
      type: 'timeseries',
      title: name,
      datasource,
      gridPos: { x: (at % perRow) * 8, y: y + 1 + Math.floor(at / perRow) * height, w: 8, h: height },
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      options: { tooltip: { mode: 'multi', sort: 'desc' } },
      targets: queries.map(([expr, legendFormat], index) => ({
        refId: String.fromCharCode(65 + index),
        datasource,
        expr,
        legendFormat,
      })),
    }));
    y += 1 + Math.ceil(inRow.length / perRow) * height;
    return [header, ...below];
  });
  return {
    uid: 'countersign',
    title: 'Countersign',
    tags: ['countersign'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: variables },
    panels,
  };
}
