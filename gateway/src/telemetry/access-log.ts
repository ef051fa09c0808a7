import type { Logger, Registry } from '@countersign/service-kit';
import { Counter, Gauge, Histogram } from 'prom-client';
import type { GatewayConfig } from '../config/config.ts';
import type { RequestRecord } from '../exchange.ts';
import type { Trust } from '../snapshot/trust.ts';
import type { AccessTokens } from '../tokens/access-tokens.ts';
import type { TrustedIssuer } from '../tokens/verified-token.ts';
import type { OpenConnections } from '../upstreams/pool/open-connections.ts';

/** Writes the request's one log line and counts it. Called once, when it is over however it ended. */
export type Observe = (record: RequestRecord, outcome: Readonly<{ status: number; aborted: boolean }>) => void;

export function createObserve(logger: Logger, registry: Registry): Observe {
  const seconds = new Histogram({
    name: 'countersign_request_duration_seconds',
    help: 'From the request read to its answer finished, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const refusals = new Counter({
    name: 'countersign_refusals_total',
    help: 'Requests that the gateway answered itself, by code and by whose fault it was.',
    labelNames: ['code', 'fault'],
    registers: [registry],
  });
  const upstreamSeconds = new Histogram({
    name: 'countersign_upstream_duration_seconds',
    help: 'From a signed request sent to the beginning of the answer.',
    labelNames: ['upstream'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });

  return (record, { status, aborted }) => {
    const durationMs = performance.now() - record.startedAt;
    seconds.observe({ route: record.route ?? 'none', status: String(status) }, durationMs / 1000);
    if (record.code !== undefined) refusals.inc({ code: record.code, fault: record.fault ?? 'ours' });
    if (record.upstreamMs !== undefined) {
      upstreamSeconds.observe({ upstream: record.upstream ?? 'none' }, record.upstreamMs / 1000);
    }
    const line = {
      request_id: record.requestId,
      method: record.method,
      path: record.path,
      status,
      route: record.route,
      rule: record.rule,
      code: record.code,
      fault: record.fault,
      // Nothing that is configured wrongly mends itself: a key, a clock or a certificate inside needs somebody.
      alarm: record.fault === 'configuration' ? record.code : undefined,
      detail: record.detail,
      err: record.err,
      identity: record.identity,
      user_id: record.userId,
      service_id: record.serviceId,
      transaction_id: record.transactionId,
      tenant_id: record.tenantId,
      ip: record.address,
      upstream: record.upstream,
      target: record.target,
      attempts: record.attempts,
      retried_after: record.retriedAfter,
      duration_ms: rounded(durationMs),
      decided_ms: rounded(record.decidedMs),
      waited_ms: rounded(record.waitedMs),
      upstream_ms: rounded(record.upstreamMs),
      ...(aborted && { aborted }),
    };
    if (status >= 500) logger.error(line, 'request');
    else logger.info(line, 'request');
  };
}

const rounded = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 100) / 100;

/** @returns What is told of each revocation that came in. Quantiles of it are what the promise of a second is held against. */
export function observeLag(registry: Registry): (issuer: string, lagMs: number) => void {
  const seconds = new Histogram({
    name: 'countersign_revocation_lag_seconds',
    help: 'From the whole second that a revocation counts from, which is up to a second after it was written, until it was in force here.',
    labelNames: ['issuer'],
    buckets: [0.001, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
    registers: [registry],
  });
  return (issuer, lagMs) => seconds.observe({ issuer }, lagMs / 1000);
}

type Watched = Readonly<{
  /** Of the configuration in force. */
  current(): Readonly<{ config: GatewayConfig; trust: Trust; tokens: AccessTokens }>;
  open: Pick<OpenConnections, 'size'>;
  nowMs(): number;
}>;

/** Gauges that are read when somebody asks. A gauge of something that was never there has no value, rather than a false one. */
export function watch({ current, open, nowMs }: Watched, registry: Registry): void {
  const gauge = (
    name: string,
    help: string,
    read: (issuer: TrustedIssuer) => number | undefined,
    // Of several workers: what is so far is added up, of what is now the worst is told.
    aggregator: 'max' | 'sum' = 'max',
  ) =>
    new Gauge({
      name: `countersign_${name}`,
      help,
      aggregator,
      labelNames: ['issuer'],
      registers: [registry],
      collect() {
        // Those of an issuer that is trusted no more must not stay.
        this.reset();
        for (const issuer of current().trust.issuers.values()) {
          const value = read(issuer);
          if (value !== undefined) this.set({ issuer: issuer.config.issuer }, value);
        }
      },
    });
  const feedOf = (issuer: TrustedIssuer) => current().trust.followed.get(issuer.config.issuer)?.feed.stats;
  const inSeconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

  gauge('jwks_age_seconds', 'Since the key set was last confirmed.', ({ keys }) => inSeconds(keys.stats.ageMs));
  gauge('jwks_keys', 'Usable keys held.', ({ keys }) => keys.stats.keys);
  gauge('jwks_fetches', 'Attempts to fetch the key set so far.', ({ keys }) => keys.stats.fetches, 'sum');
  gauge('jwks_fetch_failures', 'Attempts that failed so far.', ({ keys }) => keys.stats.failures, 'sum');
  gauge('revocations_staleness_seconds', 'Since the feed last said that there was nothing more.', ({ revocations }) =>
    inSeconds(revocations?.stalenessMs(nowMs())),
  );
  gauge('revocations_held', 'Revocations in force.', ({ revocations }) => revocations?.size);
  gauge(
    'revocations_refused_before_timestamp_seconds',
    'Every token issued before is refused, since more was revoked than is held one by one; no value while that is not so.',
    ({ revocations }) => inSeconds(revocations?.refusedBeforeMs(nowMs())),
  );
  gauge('revocation_feed_answers', 'Answers of the feed so far.', (issuer) => feedOf(issuer)?.answers, 'sum');
  gauge(
    'revocation_feed_failures',
    'Failed attempts to read the feed so far.',
    (issuer) => feedOf(issuer)?.failures,
    'sum',
  );
  gauge('revocation_feed_snapshots', 'Whole snapshots read so far.', (issuer) => feedOf(issuer)?.snapshots, 'sum');
  gauge(
    'revocation_feed_unknown_items',
    'Items that were not understood, and so not obeyed.',
    (issuer) => feedOf(issuer)?.unknownItems,
  );
  new Gauge({
    name: 'countersign_token_cache',
    help: 'Verified tokens: held, answered from memory, verified, refused from memory.',
    labelNames: ['what'],
    registers: [registry],
    collect() {
      for (const [what, value] of Object.entries(current().tokens.stats)) this.set({ what }, value);
    },
  });
  new Gauge({
    name: 'countersign_open_connections',
    help: 'WebSockets and event streams that are open.',
    registers: [registry],
    collect() {
      this.set(open.size);
    },
  });
  new Gauge({
    name: 'countersign_certificate_expires_timestamp_seconds',
    help: 'When the certificate of the public listener ends; no value where it speaks plain HTTP.',
    aggregator: 'min',
    registers: [registry],
    collect() {
      const { certificate } = current().config;
      if (certificate === undefined) this.remove();
      else this.set(certificate.expiresAtMs / 1000);
    },
  });
}
