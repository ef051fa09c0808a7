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
  /** That of the client of Redis. Undefined without Redis. */
  redisStatus(): string | undefined;
  nowMs(): number;
}>;

/**
 * Registers the metrics that read their values when they are scraped, so that they cost requests nothing. The counters
 * of an upstream start over when a reload changes its configuration.
 *
 * @returns A function that counts one reload. A refused file counts once, no matter how often it is retried.
 */
export function registerScrapedMetrics(sources: Sources, registry: Registry): (result: 'applied' | 'refused') => void {
  for (const metric of [...processMetrics(sources), ...issuerMetrics(sources), ...upstreamMetrics(sources)]) {
    registerScraped({ ...metric, name: `countersign_${metric.name}` }, registry);
  }
  const total = new Counter({
    name: 'countersign_config_reloads_total',
    help: 'Reloads by result, without the first load.',
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
    one('token_cache_tokens', 'Verified tokens held.', () => current().tokens.stats.size),
    {
      name: 'token_cache_lookups_total',
      help: 'Lookups of tokens: `hit`, `miss` (verified), or `refused` from memory.',
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
      'Whether Redis is connected. Absent without `redis`. The lowest of all workers.',
      () => {
        const status = redisStatus();
        return status === undefined ? undefined : Number(status === 'ready');
      },
      'min',
    ),
    one('open_connections', 'Open WebSockets and event streams.', () => connections.size),
    one(
      'buffered_body_bytes',
      'Bytes of request bodies in memory. The limit is `uploads.maxBuffered` for each process.',
      () => bodies.bytes,
    ),
    one(
      'certificate_expires_timestamp_seconds',
      'When the certificate of the public listener expires. Absent with plain HTTP.',
      () => inSeconds(current().config.certificate?.expiresAtMs),
      'min',
    ),
    one(
      'config_last_reload_successful',
      '0 while the file is refused and an older configuration is in force. The lowest of all workers.',
      () => (reloads().refused === undefined ? 1 : 0),
      'min',
    ),
    one(
      'config_loaded_timestamp_seconds',
      'When the configuration in force was loaded. The earliest of all workers.',
      () => inSeconds(reloads().loadedAtMs),
      'min',
    ),
    {
      name: 'config_info',
      help: 'How many processes serve the file whose SHA-256 is the label.',
      labels: ['hash'],
      rows: () => [[[current().config.hash], 1]],
    },
  ];
}

function issuerMetrics({ current, nowMs }: Sources): readonly ScrapedMetric[] {
  const feedOf = ({ config }: TrustedIssuer) => current().trust.followed.get(config.issuer)?.stats;
  const each = (
    name: string,
    help: string,
    read: (issuer: TrustedIssuer) => number | undefined,
    aggregator: 'min' | 'max' = 'max',
  ): ScrapedMetric => ({
    name,
    help,
    labels: ['issuer'],
    // The worst state of all workers.
    aggregator,
    rows: () => [...current().trust.issuers.values()].map((issuer) => [[issuer.config.issuer], read(issuer)]),
  });
  return [
    each('jwks_age_seconds', 'Time since the key set was last confirmed.', ({ keys }) => inSeconds(keys.stats.ageMs)),
    each('jwks_keys', 'Usable keys held.', ({ keys }) => keys.stats.keys, 'min'),
    each('jwks_fetches_total', 'Attempts to fetch the key set.', ({ keys }) => keys.stats.fetches),
    each('jwks_fetch_failures_total', 'Failed attempts to fetch the key set.', ({ keys }) => keys.stats.failures),
    each(
      'revocations_staleness_seconds',
      'Time since the revocation feed last reported no further items.',
      ({ revocations }) => inSeconds(revocations?.stalenessMs()),
    ),
    each(
      'revocations_max_staleness_seconds',
      '`maxStaleness` of the issuer: the staleness from which `onStale` applies.',
      ({ config }) => inSeconds(config.revocations?.maxStalenessMs),
    ),
    each('revocations_held', 'Revocations in force.', ({ revocations }) => revocations?.size),
    each(
      'revocations_refused_before_timestamp_seconds',
      'Tokens issued before this time are refused, because there are more revocations than fit in memory. Usually absent.',
      ({ revocations }) => inSeconds(revocations?.refusedBeforeMs(nowMs())),
    ),
    each('revocation_feed_answers_total', 'Responses of the feed.', (issuer) => feedOf(issuer)?.answers),
    each('revocation_feed_failures_total', 'Failed attempts to read the feed.', (issuer) => feedOf(issuer)?.failures),
    each(
      'revocation_feed_snapshots_total',
      'Complete snapshots of the feed read.',
      (issuer) => feedOf(issuer)?.snapshots,
    ),
    each(
      'revocation_feed_unknown_items_total',
      'Feed items of an unknown kind, which are ignored.',
      (issuer) => feedOf(issuer)?.unknownItems,
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
      'Whether its last request succeeded, its checks do not fail, and it is neither full nor ejected. 1 before the first request.',
      (one, nowMs) => Number(isHealthy(one, nowMs)),
      'min',
    ),
    target(
      'last_success_timestamp_seconds',
      'When the last request succeeded. Absent before.',
      ({ lastSuccessMs }) => inSeconds(lastSuccessMs),
      'max',
    ),
    target(
      'last_failure_timestamp_seconds',
      'When the last request failed. Absent once a later one has succeeded.',
      ({ failing }) => inSeconds(failing?.lastMs),
      'max',
    ),
    target('pending', 'Requests and WebSockets in progress.', ({ pending }) => pending),
    target('ejections_total', 'Times the target was ejected because consecutive requests failed.', ({ health }) =>
      Number(health.ejections),
    ),
    target('failed_checks_total', 'Health checks that failed.', ({ failedChecks }) => failedChecks),
    upstream('breaker_state', 'Circuit breaker: 0 closed, 1 half open, 2 open.', ({ breaker, nowMs }) =>
      breaker === undefined ? undefined : breakerStates.indexOf(breaker.state(nowMs())),
    ),
    upstream('breaker_opened_total', 'Times the circuit breaker opened.', ({ breaker }) => breaker?.opened),
    upstream('retries_total', 'Retried attempts.', ({ stats }) => stats.retries),
    upstream(
      'retries_over_budget_total',
      'Retries skipped because the retry budget was used up.',
      ({ stats }) => stats.retriesRefused,
    ),
    upstream('tls_files_stale', 'Whether the TLS files cannot be read, so that older ones are in use.', ({ tls }) =>
      tls === undefined ? undefined : Number(tls.failure() !== undefined),
    ),
    {
      name: 'signatures_total',
      help: 'Signed requests, including retries, by kind of key: `ed25519`, `hmac-sha256` (a secret) or `agreed`.',
      labels: ['upstream', 'algorithm'],
      rows: () =>
        all().flatMap(({ upstream: { name }, signatures }) =>
          Object.entries(signatures.algorithms).map(([algorithm, n]): MetricRow => [[name, algorithm], n || undefined]),
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
