import { type OpenOptions, provision } from '@countersign/database';
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

/** Creates the missing database and roles on a server, without tables. */
export async function provisionOnServer(
  serverUrl: string,
  name: keyof typeof databases,
  prefix: string,
): Promise<void> {
  await provision(serverUrl, { ...databases[name], name: `${prefix}_${name}` });
}
