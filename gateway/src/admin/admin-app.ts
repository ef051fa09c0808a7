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
  /** Undefined on a Unix socket, which browsers cannot reach. */
  requireHost?: RequestHandler | undefined;
  routers: readonly Router[];
}>;

/** The admin listener, for operators and the orchestrator. It must not be public: it holds no secret, but maps the network. */
export function createAdminApp(options: AdminOptions): RequestListener {
  const { health, metrics, logger, requireHost, routers } = options;
  const app = bareApp();
  app.use(requestLog(logger), adminHeaders, requireWellFormed);
  if (requireHost !== undefined) app.use(requireHost);
  app.use(requirePath, refuseCrossSite);
  app.use(healthRoutes(health, metrics), ...routers, notFound, respondWithProblem(errorTable));
  return adminListener(app);
}

export type StateOptions = Readonly<{
  keySet(): unknown;
  current(): Pick<Snapshot, 'config' | 'upstreams' | 'trust' | 'gatewayKeys'>;
  nowMs(): number;
  reloadState(): ReloadState;
}>;

/** What the gateway serves with now. */
export function stateRoutes({ keySet, current, nowMs, reloadState }: StateOptions): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.use(keySetRouter(keySet));
  router.get('/config', (_req, res) => void res.json(describeConfig(current().config, reloadState())));
  router.get('/routes', (_req, res) => void res.json({ routes: current().config.routes.map(describeRoute) }));
  router.get('/upstreams', (_req, res) => {
    const { upstreams, trust, gatewayKeys } = current();
    const gatewayKid = gatewayKeys.agreementKey(Math.floor(nowMs() / 1000))?.kid;
    res.json({
      upstreams: [...upstreams.all()].map((opened) => describeUpstream(opened, gatewayKid)),
      issuers: [...trust.issuers.values()].map((issuer) => describeIssuer(issuer, nowMs())),
    });
  });
  return router;
}
