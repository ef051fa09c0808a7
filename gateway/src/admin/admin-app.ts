import {
  type Health,
  healthRoutes,
  type Logger,
  notFound,
  type Registry,
  requestLog,
  respondWithProblem,
} from '@countersign/service-kit';
import type { Express, RequestHandler, Router } from 'express';
import helmet from 'helmet';
import type { Route } from '../config/config.ts';
import { servedMethods } from '../config/path-pattern.ts';
import { errorTable } from '../errors.ts';
import { demandWellFormed } from '../http/well-formed.ts';
import { bareApp, keySetRoute } from '../server/handlers.ts';
import type { ReloadState } from '../snapshot/reload.ts';
import type { Generation } from '../snapshot/snapshot.ts';
import type { TrustedIssuer } from '../tokens/verified-token.ts';
import { describeUpstream } from './describe-upstream.ts';

export type AdminParts = Readonly<{
  health: Health;
  metrics: Registry;
  keySet(): unknown;
  /** The configuration in force, and what became of its file. */
  current(): Pick<Generation, 'config' | 'upstreams' | 'trust'>;
  nowMs(): number;
  reloads(): ReloadState;
  logger: Logger;
  /** Undefined on a socket in the file system, which no browser can reach. */
  demandHost?: RequestHandler | undefined;
  /** What it serves besides. */
  more?: Router | undefined;
}>;

/** For operators and the orchestrator; never public. What it shows holds no secret, but tells an attacker where to go. */
export function createAdminApp(parts: AdminParts): Express {
  const { health, metrics, keySet, current, nowMs, reloads, logger, demandHost, more } = parts;
  const app = bareApp();
  app.use(requestLog(logger), helmet(), demandWellFormed);
  if (demandHost !== undefined) app.use(demandHost);
  app.use(healthRoutes(health, metrics));
  app.use(keySetRoute(keySet));
  app.get('/config', (_req, res) => void res.json(describeConfig(current().config, reloads())));
  app.get('/routes', (_req, res) => void res.json({ routes: current().config.routes.map(describeRoute) }));
  app.get('/upstreams', (_req, res) => {
    const { upstreams, trust } = current();
    res.json({
      upstreams: [...upstreams.all()].map(describeUpstream),
      issuers: [...trust.issuers.values()].map((issuer) => describeIssuer(issuer, nowMs())),
    });
  });
  if (more !== undefined) app.use(more);
  app.use(notFound, respondWithProblem(errorTable));
  return app;
}

function describeConfig({ file, hash, shown }: Generation['config'], { loadedAtMs, refused }: ReloadState) {
  return {
    file,
    hash,
    loaded_at: timeOf(loadedAtMs),
    /** The file as it is now, where it is not what is in force. */
    refused:
      refused === undefined
        ? null
        : { at: timeOf(refused.atMs), hash: refused.hash ?? null, problems: refused.problems },
    config: JSON.parse(shown),
  };
}

function describeIssuer({ config, revocations }: TrustedIssuer, nowMs: number) {
  const refusedBeforeMs = revocations?.refusedBeforeMs(nowMs);
  return {
    issuer: config.issuer,
    revocations:
      revocations === undefined
        ? null
        : {
            ready: revocations.ready,
            held: revocations.size,
            staleness_ms: revocations.stalenessMs(nowMs) ?? null,
            /** More was revoked than is held one by one, and every token from before this moment is refused. */
            refused_before: refusedBeforeMs === undefined ? null : timeOf(refusedBeforeMs),
          },
  };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

/** A route with all its defaults, in the words of the file. */
export function describeRoute(route: Route) {
  const { roles, tenantParam } = route.allow;
  return {
    name: route.name,
    listener: route.auth === 'service' ? 'internal' : 'public',
    path: route.path,
    methods: servedMethods(route.methods),
    upstream: route.upstream.name,
    auth: route.auth,
    senderConstrained: route.senderConstrained ? 'required' : null,
    allow: { ...(roles && { roles: [...roles] }), ...(tenantParam !== undefined && { tenant: `:${tenantParam}` }) },
    callers: [...route.callers],
    limits: route.limits.map(({ perSec, ...limit }) => ({ ...limit, per: `${perSec}s` })),
    body: route.body,
    websocket: route.websocket,
    rewrite: route.rewrite ?? null,
    forward: { ...route.forward, cookies: [...route.forward.cookies] },
  };
}
