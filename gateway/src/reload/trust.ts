import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import type { CurrentGatewayKeys } from '../keys/gateway-keys.ts';
import { openIssuerKeys } from '../keys/issuer-keys.ts';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { OpenUpstreams } from '../upstreams/pool/open-upstream.ts';
import { type FollowedRevocations, openRevocations } from '../upstreams/revocation-source.ts';
import type { ProcessResources } from './process-resources.ts';
import type { Lease } from './shared-resources.ts';

/** The trusted issuers of one configuration, with their keys and revocations. */
export type Trust = Readonly<{
  issuers: ReadonlyMap<string, TrustedIssuer>;
  /** The revocations of each issuer that has a feed. */
  followed: ReadonlyMap<string, FollowedRevocations>;
}>;

type TrustOptions = Readonly<{
  resources: Pick<ProcessResources, 'logger' | 'keySets' | 'revocationDeps'>;
  lease: Lease;
  gatewayKeys: CurrentGatewayKeys;
  upstreams: OpenUpstreams;
  /**
   * The trust of the previous snapshot. An unchanged issuer stays the same object, which keeps its verified tokens and its open
   * connections valid.
   */
  previous: Trust | undefined;
}>;

export function openTrust(config: GatewayConfig, options: TrustOptions): Trust {
  const { resources, lease, gatewayKeys, upstreams, previous } = options;
  const issuers = new Map<string, TrustedIssuer>();
  const followed = new Map<string, FollowedRevocations>();
  const { keysDir, lifetimeSec } = config.identity;
  for (const issuer of config.issuers) {
    const { issuer: name, jwks, discovery, algorithms, revocations: feed } = issuer;
    const keysConfig = { issuer: name, jwks, discovery, algorithms };
    const keys = lease.use(`keys of ${name}`, keysConfig, () =>
      openIssuerKeys(keysConfig, resources.logger, resources.keySets),
    );
    if (feed !== undefined) {
      const upstream = upstreamOf(feed.url, config);
      const feedConfig = { issuer: name, feed, upstream, lifetimeSec };
      // The lease holds the keys and the upstream longer than their user.
      const following = lease.use(`revocations of ${name}`, { ...feedConfig, keysDir }, () =>
        openRevocations(feedConfig, { ...resources.revocationDeps, keys: gatewayKeys, opened: upstreams.of(upstream) }),
      );
      followed.set(name, following);
    }
    const fresh: TrustedIssuer = { config: issuer, keys, revocations: followed.get(name)?.revocations };
    const old = previous?.issuers.get(name);
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
