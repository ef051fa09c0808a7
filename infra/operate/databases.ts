import { type OpenOptions, openDatabase } from '@countersign/database';
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

/** Creates missing databases, roles and tables on a server, like the service does when it starts. */
export async function createOnServer(serverUrl: string, name: keyof typeof databases, prefix: string): Promise<void> {
  const db = await openDatabase({ ...databases[name], location: { serverUrl }, name: `${prefix}_${name}` });
  await db.close();
}
