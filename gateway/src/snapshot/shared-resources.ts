import type { KeySet } from '@countersign/jwks';
import type { Logger } from '@countersign/service-kit';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import {
  type CurrentGatewayKeys,
  type CurrentServiceKeys,
  openGatewayKeys,
  openServiceKeys,
} from '../keys/current-keys.ts';
import { createSigningKeys } from '../keys/signing-keys.ts';
import type { OpenConnections } from '../upstreams/pool/open-connections.ts';
import { type OpenUpstream, openUpstream } from '../upstreams/pool/open-upstream.ts';
import {
  type FollowedRevocations,
  type IssuerKeysWish,
  type KeySetTiming,
  openIssuerKeys,
  openRevocations,
  type RevocationsWish,
} from './issuer-parts.ts';
import { createKept, type Held, type Kept } from './shared-resource.ts';

/** What a reload keeps where its configuration is the same: connections, keys and revocations. */
export type KeptParts = Readonly<{
  gatewayKeys: Kept<string, CurrentGatewayKeys>;
  serviceKeys: Kept<GatewayConfig['services'], CurrentServiceKeys>;
  upstreams: Kept<Upstream, OpenUpstream>;
  issuerKeys: Kept<IssuerKeysWish, KeySet>;
  revocations: Kept<RevocationsWish, FollowedRevocations, readonly [CurrentGatewayKeys]>;
  /** Settles when all that was released so far is closed. */
  closed(): Promise<void>;
}>;

export type KeptPartsOptions = Readonly<{
  open: OpenConnections;
  nowMs(): number;
  logger: Logger;
  keySets?: KeySetTiming | undefined;
  /** Told how late a revocation came into force here. */
  onRevocationLag?: (issuer: string, lagMs: number) => void;
}>;

/** Nothing is opened yet. Parts work in the background from their `start` on, which may be called again. */
export function createKeptParts({ open, nowMs, logger, keySets, onRevocationLag }: KeptPartsOptions): KeptParts {
  const nowSec = () => Math.floor(nowMs() / 1000);
  const gatewayKeys = createKept<string, CurrentGatewayKeys>({
    nameOf: (directory) => directory,
    open: (directory) => openGatewayKeys(directory, nowSec, logger),
    close: (keys) => keys.stop(),
  });
  const serviceKeys = createKept<GatewayConfig['services'], CurrentServiceKeys>({
    nameOf: () => '',
    open: (services) => openServiceKeys(services, logger),
    close: (keys) => keys.stop(),
  });
  const upstreams = createKept<Upstream, OpenUpstream>({
    nameOf: ({ name }) => name,
    open: (upstream) => openUpstream(upstream, { logger }),
    close: (opened) => opened.close(),
  });
  const issuerKeys = createKept<IssuerKeysWish, KeySet>({
    nameOf: ({ issuer }) => issuer,
    open: (wish) => openIssuerKeys(wish, logger, keySets),
    close: (keys) => keys.stop(),
  });

  // A feed is asked through its upstream's connections, so it is one more who holds them.
  const upstreamOf = new WeakMap<FollowedRevocations, Held<OpenUpstream>>();
  const revocations = createKept<RevocationsWish, FollowedRevocations, readonly [CurrentGatewayKeys]>({
    nameOf: ({ issuer }) => issuer,
    open(wish, keys) {
      const held = upstreams.take(wish.upstream);
      const followed = openRevocations(wish, {
        opened: held.part,
        keyFor: createSigningKeys(keys),
        nowMs,
        logger,
        onLag: onRevocationLag,
      });
      followed.revocations.onChange(open.review);
      upstreamOf.set(followed, held);
      return followed;
    },
    close(followed) {
      followed.feed.stop();
      upstreamOf.get(followed)?.release();
    },
  });
  return {
    gatewayKeys,
    serviceKeys,
    upstreams,
    issuerKeys,
    revocations,
    async closed() {
      await upstreams.closed();
    },
  };
}
