import type { KeySet } from '@countersign/jwks';
import type { Logger } from '@countersign/service-kit';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import { type CurrentGatewayKeys, openGatewayKeys } from '../keys/gateway-keys.ts';
import { type IssuerKeysConfig, type KeySetTiming, openIssuerKeys } from '../keys/issuer-keys.ts';
import { type CurrentServiceKeys, openServiceKeys } from '../keys/service-keys.ts';
import { createSigningKeys } from '../keys/signing-keys.ts';
import type { OpenConnections } from '../upstreams/pool/open-connections.ts';
import { OpenUpstream } from '../upstreams/pool/open-upstream.ts';
import { type FollowedRevocations, openRevocations, type RevocationsConfig } from '../upstreams/revocation-source.ts';
import { createSharedResource, type ResourceRef, type SharedResource } from './shared-resource.ts';

/** The resources that snapshots share: keys, upstream connections and revocations. */
export type SharedResources = Readonly<{
  gatewayKeys: SharedResource<string, CurrentGatewayKeys>;
  serviceKeys: SharedResource<GatewayConfig['services'], CurrentServiceKeys>;
  upstreams: SharedResource<Upstream, OpenUpstream>;
  issuerKeys: SharedResource<IssuerKeysConfig, KeySet>;
  revocations: SharedResource<RevocationsConfig, FollowedRevocations, readonly [CurrentGatewayKeys]>;
  /** Settles when every released resource has closed. */
  closed(): Promise<void>;
}>;

export type SharedResourcesOptions = Readonly<{
  connections: OpenConnections;
  nowMs(): number;
  logger: Logger;
  keySets?: KeySetTiming | undefined;
  /** Called with the time that a revocation took to come into force. */
  onRevocationLag?: (issuer: string, lagMs: number) => void;
}>;

/** Opens nothing yet. A resource works in the background only after its `start`, which may be called again. */
export function createSharedResources(options: SharedResourcesOptions): SharedResources {
  const { connections, nowMs, logger, keySets, onRevocationLag } = options;
  const nowSec = () => Math.floor(nowMs() / 1000);
  const gatewayKeys = createSharedResource<string, CurrentGatewayKeys>({
    nameOf: (directory) => directory,
    open: (directory) => openGatewayKeys(directory, nowSec, logger),
    close: (keys) => keys.stop(),
  });
  const serviceKeys = createSharedResource<GatewayConfig['services'], CurrentServiceKeys>({
    nameOf: () => '',
    open: (services) => openServiceKeys(services, logger),
    close: (keys) => keys.stop(),
  });
  const upstreams = createSharedResource<Upstream, OpenUpstream>({
    nameOf: ({ name }) => name,
    open: (upstream) => new OpenUpstream(upstream, { logger }),
    close: (opened) => opened.close(),
  });
  const issuerKeys = createSharedResource<IssuerKeysConfig, KeySet>({
    nameOf: ({ issuer }) => issuer,
    open: (config) => openIssuerKeys(config, logger, keySets),
    close: (keys) => keys.stop(),
  });

  // A feed is read through its upstream's connections, so it holds a reference to the upstream.
  const upstreamOf = new WeakMap<FollowedRevocations, ResourceRef<OpenUpstream>>();
  const revocations = createSharedResource<RevocationsConfig, FollowedRevocations, readonly [CurrentGatewayKeys]>({
    nameOf: ({ issuer }) => issuer,
    open(config, keys) {
      const upstream = upstreams.acquire(config.upstream);
      const followed = openRevocations(config, {
        opened: upstream.resource,
        keyFor: createSigningKeys(keys, () => upstream.resource),
        nowMs,
        logger,
        onLag: onRevocationLag,
      });
      followed.revocations.onChange(connections.review);
      upstreamOf.set(followed, upstream);
      return followed;
    },
    close(followed) {
      followed.feed.stop();
      upstreamOf.get(followed)?.release();
    },
  });
  // Only upstreams close asynchronously.
  return { gatewayKeys, serviceKeys, upstreams, issuerKeys, revocations, closed: () => upstreams.closed() };
}
