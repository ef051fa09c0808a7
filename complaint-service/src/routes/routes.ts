import { requireIdentity, requireRole } from '@countersign/identity/express';
import { createRouter, describeCaller } from '@countersign/service-kit';
import type { Router } from 'express';
import { knownRoles } from '../domain/access.ts';
import { assignRoutes } from './assign.ts';
import { commentRoutes } from './comments.ts';
import { complaintRoutes } from './complaints.ts';
import { historyRoutes } from './history.ts';
import type { RouteParts } from './route-parts.ts';
import { transitionRoutes } from './transition.ts';

/** Routes under /v1 serve signed-in users of one tenant. */
export function complaintServiceRoutes(parts: RouteParts): Router {
  const router = createRouter();
  router.use('/v1', requireIdentity('user'), requireRole(...knownRoles), describeCaller);
  router.use(complaintRoutes(parts));
  router.use(transitionRoutes(parts));
  router.use(assignRoutes(parts));
  router.use(commentRoutes(parts));
  router.use(historyRoutes(parts));
  return router;
}
