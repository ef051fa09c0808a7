import { type MetricRow, type Registry, registerScraped, type ScrapedMetric } from '@countersign/process-kit';
import { Counter } from 'prom-client';
import type { BodyMemory } from '../limits/body-memory.ts';
import type { ReloadState } from '../reload/reload.ts';
import type { Snapshot } from '../reload/snapshot.ts';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { LongLivedConnections } from '../upstreams/pool/long-lived-connections.ts';
import { isHealthy } from './describe.ts';

type Sources = Readonly<{
  current(): Pick<Snapshot, 'config' | 'trust' | 'tokens' | 'upstreams'>;
  connections: Pick<LongLivedConnections, 'size'>;
  bodies: Pick<BodyMemory, 'bytes'>;
  reloads(): Pick<ReloadState, 'loadedAtMs' | 'refused'>;
  redisStatus(): string | undefined;
  nowMs(): number;
}>;

/** Metrics that are read at scrape time, so requests do not pay. Returns what counts a reload, once a file. */
export function registerScrapedMetrics(sources: Sources, registry: Registry): (result: 'applied' | 'refused') => void {
  for (const metric of [...processMetrics(sources), ...issuerMetrics(sources), ...upstreamMetrics(sources)]) {
    registerScraped({ ...metric, name: `countersign_${metric.name}` }, registry);
  }
  const total = new Counter({
    name: 'countersign_config_reloads_total',
    help: 'Configuration reloads by result. Excludes the first load.',
    labelNames: ['result'],
    registers: [registry],
  });
  for (const result of ['applied', 'refused']) total.inc({ result }, 0);
  return (result) => total.inc({ result });
}

const inSeconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

/** The help text, the value at scrape time, and how to combine the values of several workers. Default: their sum. */
type Readings<Of> = Readonly<
  Record<string, readonly [help: string, read: (of: Of) => number | undefined, aggregator?: 'min' | 'max']>
>;

const metricsOf = <Of>(
  labels: readonly string[],
  all: () => readonly (readonly [values: readonly string[], of: Of])[],
  readings: Readings<Of>,
): readonly ScrapedMetric[] =>
  Object.entries(readings).map(([name, [help, read, aggregator]]) => ({
    name,
    help,
    labels,
    ...(aggregator && { aggregator }),
    rows: () => all().map(([values, of]): MetricRow => [values, read(of)]),
  }));

const processMetrics = ({ current, connections, bodies, reloads, redisStatus }: Sources): readonly ScrapedMetric[] => [
  ...metricsOf([], () => [[[], current()]], {
    token_cache_tokens: ['Verified tokens in the cache.', () => current().tokens.stats.size],
    redis_up: [
      '1 if Redis is connected. Absent without `redis`. With several workers, the lowest value.',
      () => {
        const status = redisStatus();
        return status === undefined ? undefined : Number(status === 'ready');
      },
      'min',
    ],
    open_connections: ['WebSockets and event streams that are open.', () => connections.size],
    buffered_body_bytes: [
      'Request body bytes in memory. Each process may hold up to `uploads.maxBuffered`.',
      () => bodies.bytes,
    ],
    certificate_expires_timestamp_seconds: [
      "When the public listener's certificate expires. Absent with plain HTTP.",
      () => inSeconds(current().config.certificate?.expiresAtMs),
      'min',
    ],
    config_last_reload_successful: [
      '0 while the file on disk is refused and an older configuration is in use. With several workers, the lowest value.',
      () => (reloads().refused === undefined ? 1 : 0),
      'min',
    ],
    config_loaded_timestamp_seconds: [
      'When the current configuration was loaded. With several workers, the earliest time.',
      () => inSeconds(reloads().loadedAtMs),
      'min',
    ],
  }),
  {
    name: 'token_cache_lookups_total',
    help: 'Token cache lookups: `hit`, `miss` (the token was verified), or `refused` (the cache knew that it is invalid).',
    labels: ['result'],
    rows() {
      const { hits, misses, refusedFromMemory } = current().tokens.stats;
      return Object.entries({ hit: hits, miss: misses, refused: refusedFromMemory }).map(([result, n]) => [
        [result],
        n,
      ]);
    },
  },
  {
    name: 'config_info',
    help: 'How many processes run each version of the file. The label is its SHA-256.',
    labels: ['hash'],
    rows: () => [[[current().config.hash], 1]],
  },
];

function issuerMetrics({ current, nowMs }: Sources): readonly ScrapedMetric[] {
  const issuers = () => [...current().trust.issuers.values()];
  const feedOf = ({ config, events }: TrustedIssuer) =>
    current().trust.followed.get(config.issuer)?.stats ?? events?.stats;
  const metrics = metricsOf(['issuer'], () => issuers().map((issuer) => [[issuer.config.issuer], issuer]), {
    jwks_age_seconds: ['Time since the last successful key set fetch.', ({ keys }) => inSeconds(keys.stats.ageMs)],
    jwks_keys: [
      'Usable keys in the cached key set.',
      ({ keys, config }) => (config.jwks === '' ? undefined : keys.stats.keys),
      'min',
    ],
    jwks_fetches_total: ['Key set fetches, failed ones included.', ({ keys }) => keys.stats.fetches],
    jwks_fetch_failures_total: ['Key set fetches that failed.', ({ keys }) => keys.stats.failures],
    revocations_staleness_seconds: [
      'Time since the gateway last read the revocation feed to its end.',
      ({ revocations }) => inSeconds(revocations?.stalenessMs()),
    ],
    revocations_max_staleness_seconds: [
      "The issuer's `maxStaleness`. `onStale` applies once the feed is older.",
      ({ config }) => inSeconds((config.revocations ?? config.events)?.maxStalenessMs),
    ],
    revocations_held: ['Revocations that are in effect.', ({ revocations }) => revocations?.size],
    revocations_refused_before_timestamp_seconds: [
      'Tokens issued before this time are refused, because memory cannot hold all revocations. Usually absent.',
      ({ revocations }) => inSeconds(revocations?.refusedBeforeMs(nowMs())),
    ],
    revocation_feed_answers_total: ['Responses from the revocation feed.', (issuer) => feedOf(issuer)?.answers],
    revocation_feed_failures_total: ['Revocation feed reads that failed.', (issuer) => feedOf(issuer)?.failures],
    introspection_calls_total: [
      'Requests to the introspection endpoint.',
      ({ introspection }) => introspection?.stats.calls,
    ],
    introspection_failures_total: [
      'Requests to the introspection endpoint without a usable response. Their tokens get 503.',
      ({ introspection }) => introspection?.stats.failures,
    ],
    introspection_hits_total: [
      'Requests whose opaque token had an answer in the cache.',
      ({ introspection }) => introspection?.stats.hits,
    ],
    revocation_feed_snapshots_total: [
      'Complete snapshots read from the revocation feed.',
      (issuer) => feedOf(issuer)?.snapshots,
    ],
    revocation_feed_unknown_items_total: [
      'Revocation feed items ignored because their kind is unknown.',
      (issuer) => feedOf(issuer)?.unknownItems,
    ],
    event_last_timestamp_seconds: ['When the last event arrived.', ({ events }) => inSeconds(events?.lastEvent?.atMs)],
    event_last_lag_seconds: [
      'The delay of the last event, until its arrival.',
      ({ events }) => inSeconds(events?.lastEvent?.lagMs),
    ],
    events_since_timestamp_seconds: [
      'The start of the journal. Tokens from before may have ended unnoticed.',
      ({ events }) => inSeconds(events?.sinceMs),
    ],
    events_late_total: [
      'Events whose time is more than a day before they were sent. They end almost nothing.',
      ({ events }) => events?.late,
    ],
  });
  const bySource = (figure: (atMs: number) => number) => () =>
    issuers().flatMap(({ config, events }) =>
      [...(events?.lastAtMs ?? [])].map(([source, atMs]): MetricRow => [[config.issuer, source], figure(atMs)]),
    );
  return [
    // The worst state among the workers.
    ...metrics.map((metric) => ({ aggregator: 'max' as const, ...metric })),
    {
      name: 'event_source_last_timestamp_seconds',
      help: 'When the last authentic event of each source arrived, also one that ended nothing.',
      aggregator: 'max',
      labels: ['issuer', 'source'],
      rows: bySource((atMs) => atMs / 1000),
    },
    {
      name: 'event_source_age_seconds',
      help: 'Time since the last authentic event of each source. It grows while a provider sends nothing.',
      // The worker that heard last knows.
      aggregator: 'min',
      labels: ['issuer', 'source'],
      rows: bySource((atMs) => Math.max(0, nowMs() - atMs) / 1000),
    },
    {
      name: 'events_total',
      help: 'Events of issuers by source and result: `applied`, `repeated`, `ignored`, `verification`, `refused`, `unavailable`.',
      labels: ['issuer', 'source', 'result'],
      rows: () =>
        [...current().trust.issuers.values()].flatMap(({ config, events }) =>
          [...(events?.counts ?? [])].map(([name, count]): MetricRow => [[config.issuer, ...name.split(' ')], count]),
        ),
    },
  ];
}

const breakerStates = ['closed', 'half-open', 'open'] as const;

function upstreamMetrics({ current }: Sources): readonly ScrapedMetric[] {
  const all = () => [...current().upstreams.all()];
  const targets = () =>
    all().flatMap(({ upstream: { name }, targets, nowMs }) =>
      targets.map((target) => [[name, target.origin], { target, nowMs: nowMs() }] as const),
    );
  return [
    ...metricsOf(['upstream', 'target'], targets, {
      upstream_target_healthy: [
        '1 if the last request succeeded, health checks do not fail, and the target is neither full nor ejected. Starts at 1.',
        ({ target, nowMs }) => Number(isHealthy(target, nowMs)),
        'min',
      ],
      upstream_target_last_success_timestamp_seconds: [
        'When a request last succeeded. Absent until one has.',
        ({ target: { lastSuccessMs } }) => inSeconds(lastSuccessMs),
        'max',
      ],
      upstream_target_last_failure_timestamp_seconds: [
        'When the last request failed. Absent if a later request succeeded.',
        ({ target: { failing } }) => inSeconds(failing?.lastMs),
        'max',
      ],
      upstream_target_pending: ['Requests and WebSockets in progress.', ({ target: { pending } }) => pending],
      upstream_target_ejections_total: [
        'How often the target was ejected after consecutive failed requests.',
        ({ target: { health } }) => health.ejections,
      ],
      upstream_target_failed_checks_total: [
        'Health checks that failed.',
        ({ target: { failedChecks } }) => failedChecks,
      ],
    }),
    ...metricsOf(['upstream'], () => all().map((opened) => [[opened.upstream.name], opened]), {
      upstream_breaker_state: [
        'Circuit breaker state: 0 closed, 1 half open, 2 open.',
        ({ breaker, nowMs }) => (breaker === undefined ? undefined : breakerStates.indexOf(breaker.state(nowMs()))),
      ],
      upstream_breaker_opened_total: ['How often the circuit breaker opened.', ({ breaker }) => breaker?.opened],
      upstream_retries_total: ['Retried attempts.', ({ stats }) => stats.retries],
      upstream_retries_over_budget_total: [
        'Retries skipped because the retry budget was used up.',
        ({ stats }) => stats.retriesRefused,
      ],
      upstream_tls_files_stale: [
        '1 if the TLS files cannot be read, so the upstream uses the previous ones.',
        ({ tls }) => (tls === undefined ? undefined : Number(tls.failure() !== undefined)),
      ],
    }).map((metric) => ({ ...metric, aggregator: 'max' as const })),
    {
      name: 'signatures_total',
      help: 'Signed requests by key type, including retries: `ed25519`, `hmac-sha256` (a secret) or `agreed`.',
      labels: ['upstream', 'algorithm'],
      rows: () =>
        all().flatMap(({ upstream: { name }, signatures }) =>
          Object.entries(signatures.algorithms).map(([algorithm, n]): MetricRow => [[name, algorithm], n]),
        ),
    },
    {
      name: 'identity_tokens_total',
      help: 'Requests with an identity token, including retries: `bound`, `unbound`, or `reused` (an earlier one).',
      labels: ['upstream', 'kind'],
      rows: () =>
        all().flatMap(({ upstream: { name, identity }, signatures: { tokens } }) =>
          identity.token === undefined
            ? []
            : (['bound', 'unbound', 'reused'] as const).map((kind): MetricRow => [[name, kind], tokens[kind]]),
        ),
    },
    {
      name: 'identity_token_claims_left_out_total',
      help: 'Claims that were not copied into identity tokens: too long, or of another form than text, number or list.',
      labels: ['upstream'],
      rows: () =>
        all().flatMap(({ upstream: { name, identity }, signatures: { tokens } }): MetricRow[] =>
          identity.token === undefined ? [] : [[[name], tokens.claimsLeftOut]],
        ),
    },
    {
      name: 'agreed_fallbacks_total',
      help: 'Requests to upstreams with `algorithm: agreed` that were signed with ed25519, by reason.',
      labels: ['upstream', 'reason'],
      rows: () =>
        all().flatMap(({ upstream: { name }, signatures, agreement }) =>
          Object.entries(agreement === undefined ? {} : signatures.fallbacks).map(
            ([reason, n]): MetricRow => [[name, reason], n],
          ),
        ),
    },
  ];
}
