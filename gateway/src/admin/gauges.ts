import type { Registry } from '@countersign/service-kit';
import { Counter, Gauge } from 'prom-client';
import type { BodyMemory } from '../limits/body-memory.ts';
import type { ReloadState } from '../reload/reload.ts';
import type { Snapshot } from '../reload/snapshot.ts';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { OpenConnections } from '../upstreams/pool/open-connections.ts';

type GaugeSources = Readonly<{
  current(): Pick<Snapshot, 'config' | 'trust' | 'tokens'>;
  connections: Pick<OpenConnections, 'size'>;
  bodies: Pick<BodyMemory, 'bytes'>;
  nowMs(): number;
}>;

/** Registers gauges that read their value when metrics are scraped. A value that does not exist is absent, never 0. */
export function registerGauges({ current, connections, bodies, nowMs }: GaugeSources, registry: Registry): void {
  function* eachIssuer(read: (issuer: TrustedIssuer) => number | undefined) {
    for (const trusted of current().trust.issuers.values()) {
      const value = read(trusted);
      if (value !== undefined) yield [{ issuer: trusted.config.issuer }, value] as const;
    }
  }
  const registers = [registry];
  const ofIssuers = { labelNames: ['issuer'], registers } as const;
  const gauge = (name: string, help: string, read: (issuer: TrustedIssuer) => number | undefined) =>
    new Gauge({
      name: `countersign_${name}`,
      help,
      // Of several workers' states, the worst one is shown.
      aggregator: 'max',
      ...ofIssuers,
      collect() {
        // Drops the values of issuers that are no longer trusted.
        this.reset();
        for (const [labels, value] of eachIssuer(read)) this.set(labels, value);
      },
    });
  const counter = (name: string, help: string, read: (issuer: TrustedIssuer) => number | undefined) =>
    new Counter({
      name: `countersign_${name}_total`,
      help,
      ...ofIssuers,
      collect() {
        this.reset();
        for (const [labels, value] of eachIssuer(read)) this.inc(labels, value);
      },
    });
  const feedOf = (issuer: TrustedIssuer) => current().trust.followed.get(issuer.config.issuer)?.feed.stats;
  const inSeconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

  gauge('jwks_age_seconds', 'Time since the key set was last confirmed.', ({ keys }) => inSeconds(keys.stats.ageMs));
  gauge('jwks_keys', 'Usable keys held.', ({ keys }) => keys.stats.keys);
  counter('jwks_fetches', 'Attempts to fetch the key set.', ({ keys }) => keys.stats.fetches);
  counter('jwks_fetch_failures', 'Failed attempts to fetch the key set.', ({ keys }) => keys.stats.failures);
  gauge(
    'revocations_staleness_seconds',
    'Time since the revocation feed last reported no further items.',
    ({ revocations }) => inSeconds(revocations?.stalenessMs()),
  );
  gauge('revocations_held', 'Revocations in force.', ({ revocations }) => revocations?.size);
  gauge(
    'revocations_refused_before_timestamp_seconds',
    'Tokens issued before this time are refused, because there are more revocations than fit in memory. Usually absent.',
    ({ revocations }) => inSeconds(revocations?.refusedBeforeMs(nowMs())),
  );
  counter('revocation_feed_answers', 'Responses of the feed.', (issuer) => feedOf(issuer)?.answers);
  counter('revocation_feed_failures', 'Failed attempts to read the feed.', (issuer) => feedOf(issuer)?.failures);
  counter('revocation_feed_snapshots', 'Complete snapshots of the feed read.', (issuer) => feedOf(issuer)?.snapshots);
  counter(
    'revocation_feed_unknown_items',
    'Feed items of an unknown kind, which are ignored.',
    (issuer) => feedOf(issuer)?.unknownItems,
  );
  new Gauge({
    name: 'countersign_token_cache_tokens',
    help: 'Verified tokens held.',
    registers: [registry],
    collect() {
      this.set(current().tokens.stats.size);
    },
  });
  new Counter({
    name: 'countersign_token_cache_lookups_total',
    help: 'Lookups of tokens: `hit`, `miss` (verified), or `refused` from memory.',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      const { hits, misses, refusedFromMemory } = current().tokens.stats;
      this.reset();
      this.inc({ result: 'hit' }, hits);
      this.inc({ result: 'miss' }, misses);
      this.inc({ result: 'refused' }, refusedFromMemory);
    },
  });
  new Gauge({
    name: 'countersign_open_connections',
    help: 'Open WebSockets and event streams.',
    registers: [registry],
    collect() {
      this.set(connections.size);
    },
  });
  new Gauge({
    name: 'countersign_buffered_body_bytes',
    help: 'Bytes of request bodies in memory. The bound is `uploads.maxBuffered` for each process.',
    registers: [registry],
    collect() {
      this.set(bodies.bytes);
    },
  });
  new Gauge({
    name: 'countersign_certificate_expires_timestamp_seconds',
    help: 'When the certificate of the public listener expires. Absent with plain HTTP.',
    aggregator: 'min',
    registers: [registry],
    collect() {
      const { certificate } = current().config;
      if (certificate === undefined) this.remove();
      else this.set(certificate.expiresAtMs / 1000);
    },
  });
}

type ReloadSources = Readonly<{
  current(): Pick<Snapshot, 'config'>;
  reloads(): Pick<ReloadState, 'loadedAtMs' | 'refused'>;
}>;

/**
 * Registers the metrics of configuration reloads.
 *
 * @returns Counts one reload. A refused file counts once, however often it is tried again.
 */
export function registerReloadMetrics(
  { current, reloads }: ReloadSources,
  registry: Registry,
): (result: 'applied' | 'refused') => void {
  const registers = [registry];
  new Gauge({
    name: 'countersign_config_last_reload_successful',
    help: '0 while the file is refused and an older configuration is in force. The lowest of all workers.',
    aggregator: 'min',
    registers,
    collect() {
      this.set(reloads().refused === undefined ? 1 : 0);
    },
  });
  new Gauge({
    name: 'countersign_config_loaded_timestamp_seconds',
    help: 'When the configuration in force was loaded. The earliest of all workers.',
    aggregator: 'min',
    registers,
    collect() {
      this.set(reloads().loadedAtMs / 1000);
    },
  });
  new Gauge({
    name: 'countersign_config_info',
    help: 'How many processes serve the file whose SHA-256 is the label.',
    labelNames: ['hash'],
    registers,
    collect() {
      this.reset();
      this.set({ hash: current().config.hash }, 1);
    },
  });
  const total = new Counter({
    name: 'countersign_config_reloads_total',
    help: 'Reloads by result, without the first load.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['applied', 'refused']) total.inc({ result }, 0);
  return (result) => total.inc({ result });
}
