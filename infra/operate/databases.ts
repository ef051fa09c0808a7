import type { OpenOptions } from '@countersign/database';
import { authDatabase } from '../../auth-service/src/store/database.ts';
import { complaintsDatabase } from '../../complaint-service/src/store/database.ts';
import { usersDatabase } from '../../users-service/src/store/schema.ts';

/** The databases of an installation by the last part of their names, e.g. `countersign_auth`. */
export const databases: Readonly<Record<'auth' | 'users' | 'complaints', Omit<OpenOptions, 'location' | 'name'>>> = {
  auth: authDatabase,
  users: usersDatabase,
  complaints: complaintsDatabase,
};

export const databaseNames = Object.keys(databases) as (keyof typeof databases)[];
