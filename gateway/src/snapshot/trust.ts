import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import type { CurrentGatewayKeys } from '../keys/current-keys.ts';
import type { TrustedIssuer } from '../tokens/verified-token.ts';
import type { FollowedRevocations } from './issuer-parts.ts';
import type { Held } from './shared-resource.ts';
import type { KeptParts } from './shared-resources.ts';

/** The issuers of one configuration, and what is known of them. */
export type Trust = Readonly<{
  issuers: ReadonlyMap<string, TrustedIssuer>;
  /** Of those that announce revocations. */
  followed: ReadonlyMap<string, FollowedRevocations>;
}>;

export type TrustOptions = Readonly<{
  parts: Pick<KeptParts, 'issuerKeys' | 'revocations'>;
  gatewayKeys: CurrentGatewayKeys;
  /** Keeps a part for as long as the configuration is in use. */
  hold<Part>(held: Held<Part>): Part;
  /**
   * The issuers of the configuration before this one. An issuer about which nothing changed stays the very same object: by
   * that its verified tokens and open connections are known to be still good.
   */
  before: ReadonlyMap<string, TrustedIssuer> | undefined;
}>;

export function createTrust(config: GatewayConfig, { parts, gatewayKeys, hold, before }: TrustOptions): Trust {
  const issuers = new Map<string, TrustedIssuer>();
  const followed = new Map<string, FollowedRevocations>();
  for (const issuer of config.issuers) {
    const { issuer: name, jwks, algorithms, revocations: feed } = issuer;
    const keys = hold(parts.issuerKeys.take({ issuer: name, jwks, algorithms }));
    const following =
      feed &&
      hold(
        parts.revocations.take(
          {
            issuer: name,
            feed,
            upstream: upstreamOf(feed.url, config),
            lifetimeSec: config.identity.lifetimeSec,
          },
          gatewayKeys,
        ),
      );
    if (following !== undefined) followed.set(name, following);
    const fresh: TrustedIssuer = { config: issuer, keys, revocations: following?.revocations };
    const old = before?.get(name);
    issuers.set(name, old !== undefined && isSame(old, fresh) ? old : fresh);
  }
  return { issuers, followed };
}

const isSame = (a: TrustedIssuer, b: TrustedIssuer): boolean =>
  a.keys === b.keys && a.revocations === b.revocations && isDeepStrictEqual(a.config, b.config);

function upstreamOf(url: string, config: GatewayConfig): Upstream {
  const { origin } = new URL(url);
  const upstream = [...config.upstreams.values()].find(({ targets }) => targets.includes(origin));
  if (upstream === undefined) throw new Error(`${url} was not checked`);
  return upstream;
}
