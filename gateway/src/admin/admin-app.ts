import type { RequestListener } from 'node:http';
import {
  type Health,
  healthRoutes,
  type Logger,
  type MetricsSource,
  notFound,
  requestLog,
  respondWithProblem,
} from '@countersign/service-kit';
import { type RequestHandler, Router } from 'express';
import { keySetPath } from '../config/own-paths.ts';
import { errorTable } from '../errors.ts';
import { bareApp, keySetRouter } from '../listen/express-app.ts';
import type { ReloadState } from '../reload/reload.ts';
import type { Snapshot } from '../reload/snapshot.ts';
import { adminHeaders, adminListener, refuseCrossSite, requirePath, requireWellFormed } from './admin-security.ts';
import { describeConfig, describeIssuer, describeRoute, describeUpstream } from './describe.ts';

export type AdminOptions = Readonly<{
  health: Health;
  metrics: MetricsSource;
  logger: Logger;
  requireHost: RequestHandler;
  routers: readonly Router[];
}>;

/**
 * Creates the app of the admin listener, for operators and the orchestrator. Never expose this listener to the public:
 * it holds no secret, but it reveals the network.
 */
export function createAdminApp(options: AdminOptions): RequestListener {
  const { health, metrics, logger, requireHost, routers } = options;
  const app = bareApp();
  app.use(requestLog(logger), adminHeaders, requireWellFormed, requireHost, requirePath, refuseCrossSite);
  app.use(healthRoutes(health, metrics), ...routers, notFound, respondWithProblem(errorTable));
  return adminListener(app);
}

export type StateOptions = Readonly<{
  keySet(): unknown;
  current(): Pick<Snapshot, 'config' | 'upstreams' | 'trust' | 'gatewayKeys'>;
  nowMs(): number;
  reloadState(): ReloadState;
}>;

/** Returns what the admin listener shows about the current configuration, by path. */
export const createStateReader = ({ keySet, current, nowMs, reloadState }: StateOptions) => ({
  [keySetPath]: keySet,
  '/config': () => describeConfig(current().config, reloadState()),
  '/routes': () => ({ routes: current().config.routes.map(describeRoute) }),
  '/upstreams'() {
    const { upstreams, trust, gatewayKeys } = current();
    const gatewayKid = gatewayKeys.agreementKey(Math.floor(nowMs() / 1000))?.kid;
    return {
      upstreams: [...upstreams.all()].map((opened) => describeUpstream(opened, gatewayKid)),
      issuers: [...trust.issuers.values()].map((issuer) => describeIssuer(issuer, nowMs())),
    };
  },
});

export type StatePath = keyof ReturnType<typeof createStateReader>;

/** @param read Reads the state of this process, or of one worker. */
export function stateRoutes(read: (path: StatePath) => unknown): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.use(keySetRouter(() => read(keySetPath)));
  for (const path of ['/config', '/routes', '/upstreams'] as const) {
    router.get(path, async (_req, res) => void res.json(await read(path)));
  }
  return router;
}
