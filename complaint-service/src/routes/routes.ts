import type { Database } from '@countersign/database';
import { requireIdentity, requireRole } from '@countersign/identity/express';
import { createRouter, describeCaller } from '@countersign/service-kit';
import type { Router } from 'express';
import { knownRoles } from '../domain/access.ts';
import type { AssigneeDirectory } from '../domain/assignees.ts';
import type { ComplaintsSchema } from '../store/schema.ts';
import { assignRoutes } from './assign.ts';
import { commentRoutes } from './comments.ts';
import { complaintRoutes } from './complaints.ts';
import { historyRoutes } from './history.ts';
import { transitionRoutes } from './transition.ts';

export type RouteParts = Readonly<{
  db: Database<ComplaintsSchema>;
  /** A new UUIDv7, for rows and revisions. */
  newId: () => string;
  now: () => Date;
  assignees: AssigneeDirectory;
}>;

/** Everything under /v1 is for signed-in people of one tenant. */
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
