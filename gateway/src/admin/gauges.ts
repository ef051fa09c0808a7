import type { Registry } from '@countersign/service-kit';
import { Gauge } from 'prom-client';
import type { GatewayConfig } from '../config/config.ts';
import type { Trust } from '../snapshot/trust.ts';
import type { AccessTokens } from '../tokens/access-tokens.ts';
import type { TrustedIssuer } from '../tokens/verified-token.ts';
import type { OpenConnections } from '../upstreams/pool/open-connections.ts';

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
