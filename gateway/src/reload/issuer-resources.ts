import { setTimeout as delay } from 'node:timers/promises';
import { type KeySet, type RemoteKeySetOptions, remoteKeySet } from '@countersign/jwks';
import type { Logger } from '@countersign/service-kit';
import type { Issuer, Upstream } from '../config/config.ts';
import { isFetched } from '../config/schema/values/urls.ts';
import { createOutageLog } from '../http/outage-log.ts';
import { discoveredKeySet } from '../keys/discovery.ts';
import { openIssuerKeyFile } from '../keys/issuer-key-set.ts';
import type { KeyFor } from '../keys/signing-keys.ts';
import { followRevocations, type RevocationFeed } from '../revocations/feed.ts';
import { createRevocations, type Revocations } from '../revocations/revocations.ts';
import type { OpenUpstream } from '../upstreams/pool/open-upstream.ts';
import { createRevocationSource } from '../upstreams/revocation-source.ts';

/** The configuration of an issuer's key set. */
export type IssuerKeysConfig = Pick<Issuer, 'issuer' | 'jwks' | 'discovery' | 'algorithms'>;

/** How keys are fetched. The defaults are those of packages/jwks. */
export type KeySetTiming = Pick<RemoteKeySetOptions, 'cooldownMs' | 'timeoutMs' | 'nowMs' | 'random' | 'timers'>;

/** The configuration of an issuer's revocation feed. The feed is at a target of `upstream`. */
export type RevocationsConfig = Readonly<{
  issuer: string;
  feed: NonNullable<Issuer['revocations']>;
  upstream: Upstream;
  lifetimeSec: number;
}>;

export type FollowedRevocations = Readonly<{ revocations: Revocations; feed: RevocationFeed }>;

const maxStaleMs = 24 * 60 * 60 * 1000;

/** @throws StartupError when the keys are in a file that cannot be read. */
export function openIssuerKeys(config: IssuerKeysConfig, logger: Logger, timing: KeySetTiming = {}): KeySet {
  const { issuer, jwks, discovery, algorithms } = config;
  if (!isFetched(jwks)) return openIssuerKeyFile(config, logger);
  const outages = createOutageLog(() => performance.now());
  let isKnown = false;
  const options: Omit<RemoteKeySetOptions, 'url'> = {
    ...timing,
    algorithms,
    maxStaleMs,
    onEvent(event) {
      const { type: _type, ...facts } = event;
      switch (event.type) {
        case 'fetched':
          outages.recovered();
          isKnown = true;
          if (event.changed) logger.info({ issuer, ...facts }, 'issuer keys fetched');
          return;
        case 'failed': {
          const level = outages.failed(isKnown);
          if (level !== undefined) logger[level]({ issuer, ...facts }, 'issuer keys cannot be fetched');
          return;
        }
        case 'key_ignored': {
          // A key for encryption or agreement beside the issuer's keys is no mistake.
          const level = event.reason === 'not_for_signatures' ? 'info' : 'warn';
          logger[level]({ issuer, ...facts }, 'issuer key ignored');
        }
      }
    },
  };
  if (!discovery) return remoteKeySet({ ...options, url: jwks });
  return discoveredKeySet(issuer, {
    ...options,
    onDiscovery(event) {
      if (event.type === 'found') logger.info({ issuer, jwks: event.url }, 'issuer metadata fetched');
      else logger.warn({ issuer, reason: event.reason, detail: event.detail }, 'issuer metadata cannot be used');
    },
  });
}

export type RevocationsOptions = Readonly<{
  opened: OpenUpstream;
  keyFor: KeyFor;
  nowMs(): number;
  logger: Logger;
  onLag?: ((issuer: string, lagMs: number) => void) | undefined;
}>;

export function openRevocations(
  { issuer, feed, upstream, lifetimeSec }: RevocationsConfig,
  { opened, keyFor, nowMs, logger, onLag }: RevocationsOptions,
): FollowedRevocations {
  const revocations = createRevocations(feed);
  const fetchPage = createRevocationSource({ url: feed.url, upstream, opened, keyFor, lifetimeSec, nowMs });
  return {
    revocations,
    feed: followRevocations({
      issuer,
      revocations,
      fetchPage,
      maxStalenessMs: feed.maxStalenessMs,
      logger,
      onLag: (lagMs) => onLag?.(issuer, lagMs),
      nowMs,
      random: Math.random,
      async pause(ms, signal) {
        // An abort rejects. The feed checks the signal itself.
        await delay(ms, undefined, { signal, ref: false }).catch(() => {});
      },
    }),
  };
}
