import type { RequestListener } from 'node:http';
import {
  type Health,
  healthRoutes,
  type Logger,
  type MetricsSource,
  notFound,
  requestLog,
  respondWithProblem,
} from '@countersign/process-kit';
import { refuseCrossSite } from '@countersign/service-kit';
import { type RequestHandler, Router } from 'express';
import { errorTable } from '../errors.ts';
import type { PublishedAt } from '../keys/published-documents.ts';
import { bareApp, publishedRouter } from '../listen/express-app.ts';
import { adminHeaders, adminListener, requirePath, requireWellFormed } from './admin-security.ts';
import { describeConfig, describeIssuer, describeRoute, describeUpstream } from './describe.ts';
import type { ConsoleSources } from './sources.ts';

/** The admin listener's app. Never expose it to the public: it holds no secret, but it reveals the network. */
export function createAdminApp({
  health,
  metrics,
  logger,
  requireHost,
  routers,
}: Readonly<{
  health: Health;
  metrics: MetricsSource;
  logger: Logger;
  requireHost: RequestHandler;
  routers: readonly Router[];
}>): RequestListener {
  const app = bareApp();
  app.use(requestLog(logger), adminHeaders, requireWellFormed, requireHost, requirePath, refuseCrossSite);
  app.use(healthRoutes(health, metrics), ...routers, notFound, respondWithProblem(errorTable));
  return adminListener(app);
}

type StateOptions = Pick<ConsoleSources, 'current' | 'nowMs' | 'reloadState'> & Readonly<{ published: PublishedAt }>;

const createStates = ({ current, nowMs, reloadState }: StateOptions) => ({
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

const statePaths = ['/config', '/routes', '/upstreams'] as const satisfies readonly (keyof ReturnType<
  typeof createStates
>)[];

/** Reads the state, or a published document, of this process. Undefined if there is none at this path. */
export type ReadState = (path: string) => unknown;

export function createStateReader(options: StateOptions): ReadState {
  const states = createStates(options);
  return (path) => (Object.hasOwn(states, path) ? states[path as keyof typeof states]() : options.published(path));
}

/** @param read Reads the state of this process, or of one worker. */
export function stateRoutes(read: ReadState): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.use(publishedRouter(read));
  for (const path of statePaths) {
    router.get(path, async (_req, res) => void res.json(await read(path)));
  }
  return router;
}
