import { requireIdentity, requireRole } from '@countersign/identity/express';
import { createRouter } from '@countersign/process-kit';
import {
  type BehindGateway,
  createServiceApp,
  describeCaller,
  descriptionRoutes,
  mountRoutes,
} from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import { knownRoles } from './domain/access.ts';
import { errors } from './errors.ts';
import type { FlowParts } from './flows/parts.ts';
import { api, routes } from './routes/api.ts';
import { unsubscribeRoutes } from './routes/mail.ts';
import { webhookKeyRoutes } from './routes/webhooks.ts';

const requireKnownRole = requireRole(...knownRoles);

/** OAuth clients have scopes instead of roles. */
const requireRoleOfUsers: RequestHandler = (req, res, next) =>
  req.identity.kind === 'client' ? next() : requireKnownRole(req, res, next);

/**
 * Routes under /v1 serve signed-in users of one tenant, and OAuth clients where a route allows them. Routes under
 * /internal serve other services.
 */
export function createApp(parts: BehindGateway, flows: FlowParts): Express {
  const open = createRouter().use(
    descriptionRoutes(api),
    webhookKeyRoutes(flows.webhooks.keys),
    unsubscribeRoutes(flows),
  );
  const router = createRouter();
  router.use('/v1', requireIdentity('user', 'client'), requireRoleOfUsers, describeCaller);
  router.use(mountRoutes(routes, flows));
  return createServiceApp({ ...parts, errors, open, routes: router });
}
