import type { Database, OpenOptions } from '@countersign/database';
import { migrations } from './migrations/index.ts';
import { roles } from './roles.ts';
import type { AuthSchema } from './schema.ts';

export type AuthDatabase = Database<AuthSchema>;

/** Everything about our database but where it is. */
export const authDatabase: Omit<OpenOptions, 'location' | 'name'> = {
  login: 'countersign_auth',
  roles: Object.values(roles),
  migrations,
};
