import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { directoryRoutes } from './directory.ts';
import { meRoutes } from './me.ts';
import { membershipRoutes } from './memberships.ts';
import { userLookupRoutes } from './user-lookup.ts';

/** All routes. The `me` routes come first, because the directory would treat `me` as an id. */
export const routes = [...meRoutes, ...directoryRoutes, ...userLookupRoutes, ...membershipRoutes];

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
