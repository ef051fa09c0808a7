import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import type { CurrentGatewayKeys } from '../keys/gateway-keys.ts';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { FollowedRevocations } from '../upstreams/revocation-source.ts';
import type { ResourceRef } from './shared-resource.ts';
import type { SharedResources } from './shared-resources.ts';

/** The trusted issuers of one configuration, with their keys and revocations. */
export type Trust = Readonly<{
  issuers: ReadonlyMap<string, TrustedIssuer>;
  /** The revocations of each issuer that has a feed. */
  followed: ReadonlyMap<string, FollowedRevocations>;
}>;

export type IssuerTrustOptions = Readonly<{
  shared: Pick<SharedResources, 'issuerKeys' | 'revocations'>;
  gatewayKeys: CurrentGatewayKeys;
  /** Keeps a resource open while the snapshot is in use. */
  keep<Resource>(ref: ResourceRef<Resource>): Resource;
  /**
   * The issuers of the previous snapshot. An unchanged issuer stays the same object, which keeps its verified tokens and its open
   * connections valid.
   */
  previous: ReadonlyMap<string, TrustedIssuer> | undefined;
}>;

export function createTrust(config: GatewayConfig, { shared, gatewayKeys, keep, previous }: IssuerTrustOptions): Trust {
  const issuers = new Map<string, TrustedIssuer>();
  const followed = new Map<string, FollowedRevocations>();
  const { lifetimeSec } = config.identity;
  for (const issuer of config.issuers) {
    const { issuer: name, jwks, discovery, algorithms, revocations: feed } = issuer;
    const keys = keep(shared.issuerKeys.acquire({ issuer: name, jwks, discovery, algorithms }));
    const upstream = feed && upstreamOf(feed.url, config);
    const following =
      upstream && keep(shared.revocations.acquire({ issuer: name, feed, upstream, lifetimeSec }, gatewayKeys));
    if (following !== undefined) followed.set(name, following);
    const fresh: TrustedIssuer = { config: issuer, keys, revocations: following?.revocations };
    const old = previous?.get(name);
    issuers.set(name, old !== undefined && isSame(old, fresh) ? old : fresh);
  }
  return { issuers, followed };
}

const isSame = (a: TrustedIssuer, b: TrustedIssuer): boolean =>
  a.keys === b.keys && a.revocations === b.revocations && isDeepStrictEqual(a.config, b.config);

function upstreamOf(url: string, config: GatewayConfig): Upstream {
  const { origin } = new URL(url);
  const upstream = [...config.upstreams.values()].find(({ targets }) => targets.includes(origin));
  if (upstream === undefined) throw new Error(`${url} is at no upstream`);
  return upstream;
}
