import { requireIdentity } from '@countersign/identity/express';
import { createRouter, notStored } from '@countersign/process-kit';
import { type Api, type BehindGateway, createServiceApp, describeCaller, mountRoutes } from '@countersign/service-kit';
import type { Express } from 'express';
import { errors } from '../errors.ts';
import { directoryRoutes } from './directory.ts';
import { internalRoutes } from './internal.ts';
import { meRoutes } from './me.ts';
import type { RouteParts } from './route.ts';

/** All routes. The `me` routes come first, because the directory would treat `me` as an id. */
export const routes = [...meRoutes, ...directoryRoutes, ...internalRoutes];

export const api: Api = {
  title: 'Countersign users-service',
  description: 'Manages profiles and the member directory. All requests go through the gateway.',
  tags: [
    { name: 'Users', description: 'Your own profile, and the members of your tenant.' },
    { name: 'Internal', description: 'Only for other services. Not available from outside.' },
  ],
  errors,
  endpoints: routes.map(({ endpoint }) => endpoint),
};

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
