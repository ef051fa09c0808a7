import { requireIdentity, requireRole } from '@countersign/identity/express';
import { createRouter, describeCaller } from '@countersign/service-kit';
import type { RequestHandler, Router } from 'express';
import { knownRoles } from '../domain/access.ts';
import type { FlowParts } from '../flows/parts.ts';
import { attachmentRoutes } from './attachments/attachments.ts';
import { downloadRoutes } from './attachments/download.ts';
import { categoryRoutes } from './catalogue/categories.ts';
import { settingsRoutes } from './catalogue/settings.ts';
import { teamRoutes } from './catalogue/teams.ts';
import { assignRoutes } from './complaints/assign.ts';
import { commentRoutes } from './complaints/comments.ts';
import { exportRoutes } from './complaints/export.ts';
import { filingRoutes } from './complaints/filing.ts';
import { historyRoutes } from './complaints/history.ts';
import { listRoutes } from './complaints/list.ts';
import { statisticsRoutes } from './complaints/statistics.ts';
import { transitionRoutes } from './complaints/transition.ts';
import { watcherRoutes } from './complaints/watchers.ts';
import { erasureRoutes } from './erasure/erasure.ts';
import { retentionRoutes } from './erasure/retention.ts';
import { eventRoutes } from './events/event-stream.ts';
import { membershipRoutes } from './members/memberships.ts';
import { deliveryRoutes } from './webhooks/deliveries.ts';
import { webhookRoutes } from './webhooks/webhooks.ts';

const requireKnownRole = requireRole(...knownRoles);

/** OAuth clients have scopes instead of roles. */
const requireRoleOfUsers: RequestHandler = (req, res, next) =>
  req.identity.kind === 'client' ? next() : requireKnownRole(req, res, next);

/**
 * Routes under /v1 serve signed-in users of one tenant, and OAuth clients where a route names them. Routes under
 * /internal serve other services.
 */
export function complaintServiceRoutes(parts: FlowParts): Router {
  const router = createRouter();
  router.use('/v1', requireIdentity('user', 'client'), requireRoleOfUsers, describeCaller);
  return router.use(
    // Before the routes of one complaint, which would take the last part of these paths for an id.
    exportRoutes(parts),
    eventRoutes(parts),
    statisticsRoutes(parts),
    retentionRoutes(parts),
    erasureRoutes(parts),
    webhookRoutes(parts),
    deliveryRoutes(parts),
    listRoutes(parts),
    filingRoutes(parts),
    transitionRoutes(parts),
    assignRoutes(parts),
    commentRoutes(parts),
    historyRoutes(parts),
    attachmentRoutes(parts),
    downloadRoutes(parts),
    watcherRoutes(parts),
    categoryRoutes(parts),
    teamRoutes(parts),
    settingsRoutes(parts),
    membershipRoutes(parts),
  );
}
