import type { RequestListener } from 'node:http';
import {
  type Health,
  healthRoutes,
  type Logger,
  notFound,
  type Registry,
  requestLog,
  respondWithProblem,
} from '@countersign/service-kit';
import type { RequestHandler, Router } from 'express';
import { errorTable } from '../errors.ts';
import { requireWellFormed } from '../http/well-formed.ts';
import { bareApp, keySetRouter } from '../listen/express-app.ts';
import type { ReloadState } from '../reload/reload.ts';
import type { Snapshot } from '../reload/snapshot.ts';
import { adminListener, requirePath } from './admin-target.ts';
import { adminHeaders, refuseCrossSite } from './console/console-security.ts';
import { describeConfig, describeIssuer, describeRoute, describeUpstream } from './describe.ts';

export type AdminOptions = Readonly<{
  health: Health;
  metrics: Registry;
  keySet(): unknown;
  current(): Pick<Snapshot, 'config' | 'upstreams' | 'trust' | 'gatewayKeys'>;
  nowMs(): number;
  reloadState(): ReloadState;
  logger: Logger;
  /** Undefined on a Unix socket, which browsers cannot reach. */
  requireHost?: RequestHandler | undefined;
  /** Routes in addition to those of every gateway. */
  moreRoutes: readonly Router[];
}>;

/** The admin listener, for operators and the orchestrator. It must not be public: it holds no secret, but maps the network. */
export function createAdminApp(options: AdminOptions): RequestListener {
  const { health, metrics, keySet, current, nowMs, reloadState, logger, requireHost, moreRoutes } = options;
  const app = bareApp();
  app.use(requestLog(logger), adminHeaders, requireWellFormed);
  if (requireHost !== undefined) app.use(requireHost);
  app.use(requirePath, refuseCrossSite);
  app.use(healthRoutes(health, metrics));
  app.use(keySetRouter(keySet));
  app.get('/config', (_req, res) => void res.json(describeConfig(current().config, reloadState())));
  app.get('/routes', (_req, res) => void res.json({ routes: current().config.routes.map(describeRoute) }));
  app.get('/upstreams', (_req, res) => {
    const { upstreams, trust, gatewayKeys } = current();
    const gatewayKid = gatewayKeys.agreementKey(Math.floor(nowMs() / 1000))?.kid;
    res.json({
      upstreams: [...upstreams.all()].map((opened) => describeUpstream(opened, gatewayKid)),
      issuers: [...trust.issuers.values()].map((issuer) => describeIssuer(issuer, nowMs())),
    });
  });
  for (const router of moreRoutes) app.use(router);
  app.use(notFound, respondWithProblem(errorTable));
  return adminListener(app);
}
