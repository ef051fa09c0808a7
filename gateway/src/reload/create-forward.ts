import type { GatewayConfig } from '../config/config.ts';
import { createAdmitSocket, createAdmitUpload } from '../pipeline/admit.ts';
import type { Forward } from '../pipeline/pipeline.ts';
import { respond } from '../pipeline/respond.ts';
import { createForwardHttp, type ForwardHttpOptions } from '../upstreams/forward/forward-http.ts';
import type { OpenUpstreams } from '../upstreams/pool/open-upstream.ts';
import { createForwardUpgrade } from '../upstreams/websocket/forward-upgrade.ts';
import type { ProcessResources } from './process-resources.ts';

/** Builds the last stage: requests and upgrades, each admitted first. */
export function createForward(
  { config, upstreams }: Readonly<{ config: GatewayConfig; upstreams: OpenUpstreams }>,
  { sockets, uploads, connections: open, health }: ProcessResources,
  signAgain: ForwardHttpOptions['signAgain'],
): Forward {
  const forwardUpgrade = createForwardUpgrade({ upstreams, open, refuse: respond.socket });
  const admitSocket = createAdmitSocket(sockets, config.websockets.maxPerUser);
  const admitUpload = createAdmitUpload(uploads, config.uploads.maxPerAddress);
  return {
    http: createForwardHttp({ upstreams, open, health, admitUpload, signAgain }),
    upgrade(signed, request, socket, head) {
      admitSocket(signed, socket);
      return forwardUpgrade(signed, request, socket, head);
    },
  };
}
