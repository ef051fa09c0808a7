import type { Migration } from '@countersign/database';
import { accountTables } from './schema/accounts.ts';
import { clientTables } from './schema/clients.ts';
import { keyAndLogTables } from './schema/keys-and-logs.ts';
import { mailTables } from './schema/mail.ts';
import { secondFactorTables } from './schema/second-factors.ts';
import { sessionTables } from './schema/sessions.ts';

/** All migrations in order. The statements of a released one never change. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-schema',
    statements: [
      ...accountTables,
      ...sessionTables,
      ...secondFactorTables,
      ...keyAndLogTables,
      ...mailTables,
      ...clientTables,
    ],
  },
];
