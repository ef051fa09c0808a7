import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { listUsersEndpoint, readUserEndpoint } from './directory.ts';
import { changeOwnProfileEndpoint, readOwnProfileEndpoint } from './me.ts';
import { updateMembershipEndpoint } from './memberships.ts';
import { lookUpUserEndpoint, readAddressesEndpoint, readNamesEndpoint } from './user-lookup.ts';

/** The routes and the description of this service. A test fails when a route is missing. */
export const api: Api = {
  title: 'Countersign users-service',
  description: 'Profiles, and the directory of a tenant. Clients call it through the gateway.',
  tags: [
    { name: 'Users', description: 'Your own profile, and the members of your tenant.' },
    { name: 'Internal', description: 'For other services, on no public route.' },
  ],
  errors,
  endpoints: [
    readOwnProfileEndpoint,
    changeOwnProfileEndpoint,
    listUsersEndpoint,
    readUserEndpoint,
    lookUpUserEndpoint,
    readNamesEndpoint,
    readAddressesEndpoint,
    updateMembershipEndpoint,
  ],
};
