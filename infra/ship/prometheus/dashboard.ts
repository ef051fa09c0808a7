// `npm run docs` writes infra/ship/prometheus/dashboard.json from this.

type Query = readonly [expr: string, legend: string];
type Panel = Readonly<{
  title: string;
  /** A Grafana unit. */
  unit: 'reqps' | 's' | 'short' | 'bytes' | 'percentunit' | 'ops';
  queries: readonly Query[];
}>;

const now = (metric: string) => `${metric}{instance=~"$instance"}`;
const rate = (metric: string) => `rate(${now(metric)}[$__rate_interval])`;
/** One line for each value of the labels. */
const each = (aggregate: 'sum' | 'min' | 'max', labels: string, expr: string): Query => [
  `${aggregate} by (${labels}) (${expr})`,
  labels.replace(/\w+/g, '{{$&}}').replaceAll(',', ''),
];
const instance = (expr: string): Query => [expr, '{{instance}}'];
const quantile = (share: number, by: string, histogram: string) =>
  `histogram_quantile(${share}, sum by (le${by && `, ${by}`}) (${rate(`${histogram}_bucket`)}))`;
const quantiles = (histogram: string): readonly Query[] =>
  [0.5, 0.95, 0.99].map((share) => [quantile(share, '', histogram), `p${share * 100}`]);
const panel = (title: string, unit: Panel['unit'], ...queries: readonly Query[]): Panel => ({ title, unit, queries });

const requests = 'countersign_request_duration_seconds';
const upstream = 'countersign_upstream_duration_seconds';
const retries = 'countersign_upstream_retries';
/** A rate of the services. Other applications have metrics with these names too. */
const served = (metric: string) => `rate(${metric}{job=~"(auth|users|complaint)-service"}[$__rate_interval])`;
const firing = 'sum by (alertname, severity) (ALERTS{alertstate="firing", alertname=~"Countersign.*"}) or vector(0)';
const signatures = each('sum', 'upstream, algorithm', rate('countersign_signatures_total'));
const refusals = each('sum', 'fault, code', rate('countersign_refusals_total'));
const rows: Readonly<Record<string, readonly Panel[]>> = {
  Requests: [
    panel('Requests by status', 'reqps', each('sum', 'status', rate(`${requests}_count`))),
    panel('Duration, streams included', 's', ...quantiles(requests)),
    panel('p99 of the ten slowest routes', 's', [`topk(10, ${quantile(0.99, 'route', requests)})`, '{{route}}']),
    panel('Refusals by fault and code', 'reqps', [`${refusals[0]} > 0`, refusals[1]]),
    panel('Requests by route', 'reqps', [`topk(10, sum by (route) (${rate(`${requests}_count`)}))`, '{{route}}']),
    panel('Firing alerts', 'short', [firing, '{{severity}} {{alertname}}']),
  ],
  Upstreams: [
    panel('Requests', 'reqps', each('sum', 'upstream', rate(`${upstream}_count`))),
    panel('p99 until the response starts', 's', [quantile(0.99, 'upstream', upstream), '{{upstream}}']),
    panel(
      'Targets: 1 healthy, 0 not',
      'short',
      each('min', 'upstream, target', now('countersign_upstream_target_healthy')),
    ),
    panel(
      'Breakers: 0 closed, 1 half open, 2 open',
      'short',
      each('max', 'upstream', now('countersign_upstream_breaker_state')),
    ),
    panel('Retries', 'ops', each('sum', 'upstream', rate(`${retries}_total`)), [
      `sum by (upstream) (${rate(`${retries}_over_budget_total`)})`,
      '{{upstream}} over budget',
    ]),
    panel('Signatures by key type', 'ops', [`${signatures[0]} > 0`, signatures[1]]),
  ],
  Tokens: [
    panel('Token lookups', 'ops', each('sum', 'result', rate('countersign_token_cache_lookups_total'))),
    panel('Key set age', 's', each('max', 'issuer', now('countersign_jwks_age_seconds'))),
    panel('Known keys', 'short', each('min', 'issuer', now('countersign_jwks_keys'))),
    panel('Revocation staleness', 's', each('max', 'issuer', now('countersign_revocations_staleness_seconds'))),
    panel('Until a revocation is in force', 's', ...quantiles('countersign_revocation_lag_seconds')),
    panel('Active revocations', 'short', each('max', 'issuer', now('countersign_revocations_held'))),
  ],
  'Gateway processes': [
    panel('CPU', 'percentunit', instance(rate('process_cpu_seconds_total'))),
    panel('Memory', 'bytes', instance(now('process_resident_memory_bytes'))),
    panel('Event loop lag, p99', 's', instance(now('nodejs_eventloop_lag_p99_seconds'))),
    panel('WebSockets and event streams', 'short', instance(now('countersign_open_connections'))),
    panel('Request bodies in memory', 'bytes', instance(now('countersign_buffered_body_bytes'))),
    panel('Active configurations', 'short', each('sum', 'hash', now('countersign_config_info'))),
  ],
  Services: [
    panel('Requests', 'reqps', each('sum', 'job', served('http_request_duration_seconds_count'))),
    panel('p99', 's', [
      `histogram_quantile(0.99, sum by (le, job) (${served('http_request_duration_seconds_bucket')}))`,
      '{{job}}',
    ]),
    panel("Age of the gateway's keys", 's', each('max', 'job', 'gateway_keys_age_seconds')),
    panel('Logins waiting for a hash', 'short', each('sum', 'job', 'auth_password_hashes_waiting')),
    panel('Refreshes by outcome', 'ops', each('sum', 'outcome', 'rate(auth_refreshes_total[$__rate_interval])')),
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
