import type { OpenOptions } from '@countersign/database';
import { migrations } from './migrations/index.ts';
import { loginRole, requestRoles } from './roles.ts';

/** The settings of our database, except its location. */
export const complaintsDatabase: Omit<OpenOptions, 'location' | 'name'> = {
  login: loginRole,
  roles: requestRoles,
  migrations,
};
