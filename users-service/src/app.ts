import { requireIdentity } from '@countersign/identity/express';
import {
  type BehindGateway,
  createRouter,
  createServiceApp,
  describeCaller,
  mountRoutes,
  notStored,
} from '@countersign/service-kit';
import type { Express } from 'express';
import { errors } from './errors.ts';
import { routes } from './routes/api.ts';
import type { RouteParts } from './routes/route.ts';

/**
 * Routes under /v1 serve signed-in users of one tenant, and OAuth clients where a route allows them. Routes under
 * /internal serve other services.
 */
export function createApp({ db, ...parts }: BehindGateway & RouteParts): Express {
  const router = createRouter();
  router.use('/v1', requireIdentity('user', 'client'), describeCaller);
  router.use('/internal', notStored);
  router.use(mountRoutes(routes, { db }));
  return createServiceApp({ ...parts, errors, routes: router });
}
