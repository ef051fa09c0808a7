import { type MetricRow, type Registry, registerScraped, type ScrapedMetric } from '@countersign/service-kit';
import { Counter } from 'prom-client';
import type { BodyMemory } from '../limits/body-memory.ts';
import type { ReloadState } from '../reload/reload.ts';
import type { Snapshot } from '../reload/snapshot.ts';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { LongLivedConnections } from '../upstreams/pool/long-lived-connections.ts';
import type { OpenUpstream } from '../upstreams/pool/open-upstream.ts';
import type { Target } from '../upstreams/pool/target.ts';
import { isHealthy } from './describe.ts';

type Sources = Readonly<{
  current(): Pick<Snapshot, 'config' | 'trust' | 'tokens' | 'upstreams'>;
  connections: Pick<LongLivedConnections, 'size'>;
  bodies: Pick<BodyMemory, 'bytes'>;
  reloads(): Pick<ReloadState, 'loadedAtMs' | 'refused'>;
  /** The Redis connection's state. Undefined without Redis. */
  redisStatus(): string | undefined;
  nowMs(): number;
}>;

/**
 * Registers the metrics that read their values at scrape time, so requests do not pay for them. An upstream's counters
 * start over when a reload changes its configuration.
 *
 * @returns A function that counts one reload. A refused file counts once, no matter how often it is retried.
 */
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

function processMetrics({ current, connections, bodies, reloads, redisStatus }: Sources): readonly ScrapedMetric[] {
  const one = (
    name: string,
    help: string,
    read: () => number | undefined,
    aggregator?: 'min' | 'max',
  ): ScrapedMetric => ({
    name,
    help,
    ...(aggregator && { aggregator }),
    rows: () => [[[], read()]],
  });
  return [
    one('token_cache_tokens', 'Verified tokens in the cache.', () => current().tokens.stats.size),
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
    one(
      'redis_up',
      '1 if Redis is connected. Absent without `redis`. With several workers, the lowest value.',
      () => {
        const status = redisStatus();
        return status === undefined ? undefined : Number(status === 'ready');
      },
      'min',
    ),
    one('open_connections', 'WebSockets and event streams that are open.', () => connections.size),
    one(
      'buffered_body_bytes',
      'Request body bytes in memory. Each process may hold up to `uploads.maxBuffered`.',
      () => bodies.bytes,
    ),
    one(
      'certificate_expires_timestamp_seconds',
      "When the public listener's certificate expires. Absent with plain HTTP.",
      () => inSeconds(current().config.certificate?.expiresAtMs),
      'min',
    ),
    one(
      'config_last_reload_successful',
      '0 while the file on disk is refused and an older configuration is in use. With several workers, the lowest value.',
      () => (reloads().refused === undefined ? 1 : 0),
      'min',
    ),
    one(
      'config_loaded_timestamp_seconds',
      'When the current configuration was loaded. With several workers, the earliest time.',
      () => inSeconds(reloads().loadedAtMs),
      'min',
    ),
    {
      name: 'config_info',
      help: 'How many processes run each version of the file. The label is its SHA-256.',
      labels: ['hash'],
      rows: () => [[[current().config.hash], 1]],
    },
  ];
}

function issuerMetrics({ current, nowMs }: Sources): readonly ScrapedMetric[] {
  const feedOf = ({ config, events }: TrustedIssuer) =>
    current().trust.followed.get(config.issuer)?.stats ?? events?.stats;
  const each = (
    name: string,
    help: string,
    read: (issuer: TrustedIssuer) => number | undefined,
    aggregator: 'min' | 'max' = 'max',
  ): ScrapedMetric => ({
    name,
    help,
    labels: ['issuer'],
    // Shows the worst state among the workers.
    aggregator,
    rows: () => [...current().trust.issuers.values()].map((issuer) => [[issuer.config.issuer], read(issuer)]),
  });
  return [
    each('jwks_age_seconds', 'Time since the last successful key set fetch.', ({ keys }) =>
      inSeconds(keys.stats.ageMs),
    ),
    each(
      'jwks_keys',
      'Usable keys in the cached key set.',
      ({ keys, config }) => (config.jwks === '' ? undefined : keys.stats.keys),
      'min',
    ),
    each('jwks_fetches_total', 'Key set fetches, failed ones included.', ({ keys }) => keys.stats.fetches),
    each('jwks_fetch_failures_total', 'Key set fetches that failed.', ({ keys }) => keys.stats.failures),
    each(
      'revocations_staleness_seconds',
      'Time since the gateway last read the revocation feed to its end.',
      ({ revocations }) => inSeconds(revocations?.stalenessMs()),
    ),
    each(
      'revocations_max_staleness_seconds',
      "The issuer's `maxStaleness`. `onStale` applies once the feed is older.",
      ({ config }) => inSeconds((config.revocations ?? config.events)?.maxStalenessMs),
    ),
    each('revocations_held', 'Revocations that are in effect.', ({ revocations }) => revocations?.size),
    each(
      'revocations_refused_before_timestamp_seconds',
      'Tokens issued before this time are refused, because memory cannot hold all revocations. Usually absent.',
      ({ revocations }) => inSeconds(revocations?.refusedBeforeMs(nowMs())),
    ),
    each('revocation_feed_answers_total', 'Responses from the revocation feed.', (issuer) => feedOf(issuer)?.answers),
    each('revocation_feed_failures_total', 'Revocation feed reads that failed.', (issuer) => feedOf(issuer)?.failures),
    each(
      'introspection_calls_total',
      'Requests to the introspection endpoint.',
      ({ introspection }) => introspection?.stats.calls,
    ),
    each(
      'introspection_failures_total',
      'Those without a usable answer. The tokens get 503.',
      ({ introspection }) => introspection?.stats.failures,
    ),
    each(
      'introspection_hits_total',
      'Requests whose opaque token had an answer in the cache.',
      ({ introspection }) => introspection?.stats.hits,
    ),
    each(
      'revocation_feed_snapshots_total',
      'Complete snapshots read from the revocation feed.',
      (issuer) => feedOf(issuer)?.snapshots,
    ),
    each(
      'revocation_feed_unknown_items_total',
      'Revocation feed items ignored because their kind is unknown.',
      (issuer) => feedOf(issuer)?.unknownItems,
    ),
    {
      name: 'events_total',
      help: 'Events of issuers by source and result: `applied`, `repeated`, `ignored`, `verification`, `refused`, `unavailable`.',
      labels: ['issuer', 'source', 'result'],
      rows: () =>
        [...current().trust.issuers.values()].flatMap(({ config, events }) =>
          [...(events?.counts ?? [])].map(([name, count]): MetricRow => [[config.issuer, ...name.split(' ')], count]),
        ),
    },
    each('event_last_timestamp_seconds', 'When the last event arrived.', ({ events }) =>
      inSeconds(events?.lastEvent?.atMs),
    ),
    each('event_last_lag_seconds', 'How long before its arrival the last event happened.', ({ events }) =>
      inSeconds(events?.lastEvent?.lagMs),
    ),
    each(
      'events_since_timestamp_seconds',
      'From when on every event is known. Older tokens may have ended unnoticed.',
      ({ events }) => inSeconds(events?.sinceMs),
    ),
    each(
      'events_late_total',
      'Events whose time is more than a day before they were sent. They end almost nothing.',
      ({ events }) => events?.late,
    ),
  ];
}

const breakerStates = ['closed', 'half-open', 'open'] as const;

function upstreamMetrics({ current }: Sources): readonly ScrapedMetric[] {
  const all = () => [...current().upstreams.all()];
  const upstream = (name: string, help: string, read: (opened: OpenUpstream) => number | undefined): ScrapedMetric => ({
    name: `upstream_${name}`,
    help,
    labels: ['upstream'],
    aggregator: 'max',
    rows: () => all().map((opened) => [[opened.upstream.name], read(opened)]),
  });
  const target = (
    name: string,
    help: string,
    read: (target: Target, nowMs: number) => number | undefined,
    aggregator?: 'min' | 'max',
  ): ScrapedMetric => ({
    name: `upstream_target_${name}`,
    help,
    labels: ['upstream', 'target'],
    ...(aggregator && { aggregator }),
    rows: () =>
      all().flatMap((opened) =>
        opened.targets.map((one): MetricRow => [[opened.upstream.name, one.origin], read(one, opened.nowMs())]),
      ),
  });
  return [
    target(
      'healthy',
      '1 if the last request succeeded, health checks do not fail, and the target is neither full nor ejected. Starts at 1.',
      (one, nowMs) => Number(isHealthy(one, nowMs)),
      'min',
    ),
    target(
      'last_success_timestamp_seconds',
      'When a request last succeeded. Absent until one has.',
      ({ lastSuccessMs }) => inSeconds(lastSuccessMs),
      'max',
    ),
    target(
      'last_failure_timestamp_seconds',
      'When the last request failed. Absent if a later request succeeded.',
      ({ failing }) => inSeconds(failing?.lastMs),
      'max',
    ),
    target('pending', 'Requests and WebSockets in progress.', ({ pending }) => pending),
    target('ejections_total', 'How often the target was ejected after consecutive failed requests.', ({ health }) =>
      Number(health.ejections),
    ),
    target('failed_checks_total', 'Health checks that failed.', ({ failedChecks }) => failedChecks),
    upstream('breaker_state', 'Circuit breaker state: 0 closed, 1 half open, 2 open.', ({ breaker, nowMs }) =>
      breaker === undefined ? undefined : breakerStates.indexOf(breaker.state(nowMs())),
    ),
    upstream('breaker_opened_total', 'How often the circuit breaker opened.', ({ breaker }) => breaker?.opened),
    upstream('retries_total', 'Retried attempts.', ({ stats }) => stats.retries),
    upstream(
      'retries_over_budget_total',
      'Retries skipped because the retry budget was used up.',
      ({ stats }) => stats.retriesRefused,
    ),
    upstream(
      'tls_files_stale',
      '1 if the TLS files cannot be read, so the upstream uses the previous ones.',
      ({ tls }) => (tls === undefined ? undefined : Number(tls.failure() !== undefined)),
    ),
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
