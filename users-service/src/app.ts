import { requireIdentity } from '@countersign/identity/express';
import {
  type BehindGateway,
  createRouter,
  createServiceApp,
  describeCaller,
  mountRoutes,
} from '@countersign/service-kit';
import type { Express } from 'express';
import { v7 as uuidv7 } from 'uuid';
import { errors } from './errors.ts';
import { routes } from './routes/api.ts';
import type { RouteParts } from './routes/route.ts';
import type { Written } from './store/members.ts';

/**
 * Routes under /v1 serve signed-in users of one tenant, and OAuth clients where a route allows them. Routes under
 * /internal serve other services.
 */
export function createApp({ db, stamp, ...parts }: BehindGateway & RouteParts): Express {
  const router = createRouter();
  router.use('/v1', requireIdentity('user', 'client'), describeCaller);
  router.use(mountRoutes(routes, { db, stamp }));
  return createServiceApp({ ...parts, errors, routes: router });
}

/** Returns a unique revision and the current time for one write. */
export const newStamp = (): Written => ({ revision: uuidv7(), at: new Date() });
