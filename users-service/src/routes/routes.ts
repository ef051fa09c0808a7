import { requireIdentity } from '@countersign/identity/express';
import { createRouter, describeCaller } from '@countersign/service-kit';
import type { Router } from 'express';
import { directoryRoutes } from './directory.ts';
import { meRoutes } from './me.ts';
import { membershipRoutes } from './memberships.ts';
import type { RouteParts } from './route-parts.ts';
import { userLookupRoutes } from './user-lookup.ts';

/**
 * Routes under /v1 serve signed-in users of one tenant, and OAuth clients where a route names them. Routes under
 * /internal serve other services.
 */
export function usersRoutes(parts: RouteParts): Router {
  const router = createRouter();
  router.use('/v1', requireIdentity('user', 'client'), describeCaller);
  router.use(meRoutes(parts)); // Before the directory, for which `me` would be an id.
  router.use(directoryRoutes(parts));
  router.use(userLookupRoutes(parts));
  router.use(membershipRoutes(parts));
  return router;
}
