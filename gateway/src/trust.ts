import { setTimeout as delay } from 'node:timers/promises';
import type { SigningKey } from '@countersign/identity';
import { remoteKeySet } from '@countersign/jwks';
import { type Logger, StartupError } from '@countersign/service-kit';
import type { GatewayConfig, Issuer, Upstream } from './config/config.ts';
import { followRevocations, type RevocationFeed } from './tokens/revocation-feed.ts';
import { createRevocations, type Revocations } from './tokens/revocations.ts';
import type { TrustedIssuer } from './tokens/verified-token.ts';
import type { UpstreamPools } from './upstreams/pools.ts';
import { createRevocationSource } from './upstreams/revocation-source.ts';

/** Everything that is known of the issuers, kept up to date in the background. */
export type Trust = Readonly<{
  issuers: ReadonlyMap<string, TrustedIssuer>;
  feeds: ReadonlyMap<string, RevocationFeed>;
  start(): void;
  stop(): void;
}>;

export type TrustOptions = Readonly<{
  pools: UpstreamPools;
  keyFor(upstream: Upstream, nowSec: number): SigningKey;
  nowMs(): number;
  logger: Logger;
}>;

const issuerKeysMaxStaleMs = 24 * 60 * 60 * 1000;

/** @throws StartupError when a revocation feed is at no upstream's target: the request for it could not be signed. */
export function createTrust(config: GatewayConfig, options: TrustOptions): Trust {
  const issuers = new Map<string, TrustedIssuer>();
  const feeds = new Map<string, RevocationFeed>();
  for (const issuer of config.issuers) {
    const revocations = issuer.revocations && createRevocations(issuer.revocations);
    issuers.set(issuer.issuer, { config: issuer, keys: keySetOf(issuer, options.logger), revocations });
    if (revocations !== undefined) feeds.set(issuer.issuer, feedOf(issuer, revocations, config, options));
  }
  return {
    issuers,
    feeds,
    start() {
      for (const { keys } of issuers.values()) keys.start();
      for (const feed of feeds.values()) feed.start();
    },
    stop() {
      for (const { keys } of issuers.values()) keys.stop();
      for (const feed of feeds.values()) feed.stop();
    },
  };
}

function keySetOf({ issuer, jwks, algorithms }: Issuer, logger: Logger) {
  return remoteKeySet({
    url: jwks,
    algorithms,
    maxStaleMs: issuerKeysMaxStaleMs,
    onEvent(event) {
      if (event.type === 'fetched' && !event.changed) return;
      const { type, ...facts } = event;
      if (type === 'fetched') logger.info({ issuer, ...facts }, 'issuer keys fetched');
      else
        logger.warn({ issuer, ...facts }, type === 'failed' ? 'issuer keys cannot be fetched' : 'issuer key ignored');
    },
  });
}

function feedOf(
  issuer: Issuer,
  revocations: Revocations,
  config: GatewayConfig,
  options: TrustOptions,
): RevocationFeed {
  const { url, maxStalenessMs } = issuer.revocations ?? { url: '', maxStalenessMs: 0 };
  const { origin } = new URL(url);
  const upstream = [...config.upstreams.values()].find(({ targets }) => targets.includes(origin));
  if (upstream === undefined) {
    throw new StartupError(
      `issuer ${issuer.issuer}: ${url} is at no target of any upstream, so requests cannot be signed for it`,
    );
  }
  const { pools, keyFor, nowMs, logger } = options;
  const ask = createRevocationSource({ url, upstream, pools, keyFor, lifetimeSec: config.identity.lifetimeSec, nowMs });
  return followRevocations({
    issuer: issuer.issuer,
    revocations,
    ask,
    maxStalenessMs,
    logger,
    nowMs,
    random: Math.random,
    async pause(ms, signal) {
      // Aborted: the follower stops, and looks at the signal itself.
      await delay(ms, undefined, { signal, ref: false }).catch(() => {});
    },
  });
}
