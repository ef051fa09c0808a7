import type { Registry } from '@countersign/service-kit';
import { Counter, Gauge } from 'prom-client';
import type { ReloadState } from '../snapshot/reload.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { OpenConnections } from '../upstreams/pool/open-connections.ts';

type GaugeSources = Readonly<{
  current(): Pick<Snapshot, 'config' | 'trust' | 'tokens'>;
  connections: Pick<OpenConnections, 'size'>;
  nowMs(): number;
}>;

/** Registers gauges that read their value when metrics are scraped. A value that does not exist is absent, never 0. */
export function registerGauges({ current, connections, nowMs }: GaugeSources, registry: Registry): void {
  const gauge = (
    name: string,
    help: string,
    read: (issuer: TrustedIssuer) => number | undefined,
    // How several workers' values combine: counts are added up, and of states the worst one is shown.
    aggregator: 'max' | 'sum' = 'max',
  ) =>
    new Gauge({
      name: `countersign_${name}`,
      help,
      aggregator,
      labelNames: ['issuer'],
      registers: [registry],
      collect() {
        // Drops the values of issuers that are no longer trusted.
        this.reset();
        for (const issuer of current().trust.issuers.values()) {
          const value = read(issuer);
          if (value !== undefined) this.set({ issuer: issuer.config.issuer }, value);
        }
      },
    });
  const feedOf = (issuer: TrustedIssuer) => current().trust.followed.get(issuer.config.issuer)?.feed.stats;
  const inSeconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

  gauge('jwks_age_seconds', 'Time since the key set was last confirmed.', ({ keys }) => inSeconds(keys.stats.ageMs));
  gauge('jwks_keys', 'Usable keys held.', ({ keys }) => keys.stats.keys);
  gauge('jwks_fetches', 'Attempts to fetch the key set so far.', ({ keys }) => keys.stats.fetches, 'sum');
  gauge(
    'jwks_fetch_failures',
    'Failed attempts to fetch the key set so far.',
    ({ keys }) => keys.stats.failures,
    'sum',
  );
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
  gauge('revocation_feed_answers', 'Responses of the feed so far.', (issuer) => feedOf(issuer)?.answers, 'sum');
  gauge(
    'revocation_feed_failures',
    'Failed attempts to read the feed so far.',
    (issuer) => feedOf(issuer)?.failures,
    'sum',
  );
  gauge(
    'revocation_feed_snapshots',
    'Complete snapshots of the feed read so far.',
    (issuer) => feedOf(issuer)?.snapshots,
    'sum',
  );
  gauge(
    'revocation_feed_unknown_items',
    'Feed items of an unknown kind, which are ignored.',
    (issuer) => feedOf(issuer)?.unknownItems,
  );
  new Gauge({
    name: 'countersign_token_cache',
    help: 'The cache of verified tokens: its size, hits, misses, and refusals from memory.',
    labelNames: ['what'],
    registers: [registry],
    collect() {
      for (const [what, value] of Object.entries(current().tokens.stats)) this.set({ what }, value);
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
