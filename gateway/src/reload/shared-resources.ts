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
import { type ResourceRef, SharedResource } from './shared-resource.ts';

/** A feed is read through its upstream's connections, so it holds a reference to the upstream. */
type OpenRevocations = FollowedRevocations & Readonly<{ upstream: ResourceRef<OpenUpstream> }>;

type SharedResourcesOptions = Readonly<{
  connections: OpenConnections;
  nowMs(): number;
  logger: Logger;
  keySets?: KeySetTiming | undefined;
  /** Called with the time that a revocation took to come into force. */
  onRevocationLag?: (issuer: string, lagMs: number) => void;
}>;

/** The resources that snapshots share: keys, upstream connections and revocations. */
export type SharedResources = Readonly<ReturnType<typeof createSharedResources>>;

/** Opens nothing yet. A resource works in the background only after its `start`, which may be called again. */
export function createSharedResources(options: SharedResourcesOptions) {
  const { connections, nowMs, logger, keySets, onRevocationLag } = options;
  const nowSec = () => Math.floor(nowMs() / 1000);
  const gatewayKeys = new SharedResource<string, CurrentGatewayKeys>({
    nameOf: (directory) => directory,
    open: (directory) => openGatewayKeys(directory, nowSec, logger),
    close: (keys) => keys.stop(),
  });
  const serviceKeys = new SharedResource<GatewayConfig['services'], CurrentServiceKeys>({
    nameOf: () => '',
    open: (services) => openServiceKeys(services, logger),
    close: (keys) => keys.stop(),
  });
  const upstreams = new SharedResource<Upstream, OpenUpstream>({
    nameOf: ({ name }) => name,
    open: (upstream) => new OpenUpstream(upstream, { logger }),
    close: (opened) => opened.close(),
  });
  const issuerKeys = new SharedResource<IssuerKeysConfig, KeySet>({
    nameOf: ({ issuer }) => issuer,
    open: (config) => openIssuerKeys(config, logger, keySets),
    close: (keys) => keys.stop(),
  });

  const revocations = new SharedResource<RevocationsConfig, OpenRevocations, readonly [CurrentGatewayKeys]>({
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
      return { ...followed, upstream };
    },
    close({ feed, upstream }) {
      feed.stop();
      upstream.release();
    },
  });
  return { gatewayKeys, serviceKeys, upstreams, issuerKeys, revocations };
}
