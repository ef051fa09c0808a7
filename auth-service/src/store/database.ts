import type { Database, OpenOptions } from '@countersign/database';
import { migrations } from './migrations/index.ts';
import { roles } from './roles.ts';
import type { AuthSchema } from './schema.ts';

export type AuthDatabase = Database<AuthSchema>;

/** The settings of our database, except its location. */
export const authDatabase: Omit<OpenOptions, 'location' | 'name'> = {
  login: 'countersign_auth',
  roles: Object.values(roles),
  migrations,
};
