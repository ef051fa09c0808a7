import type { Migration, OpenOptions } from '@countersign/database';
import { accountTables, statusOfOwnMemberships } from './migrations/schema/accounts.ts';
import { clientTables } from './migrations/schema/clients.ts';
import { keyAndLogTables } from './migrations/schema/keys-and-logs.ts';
import { mailTables } from './migrations/schema/mail.ts';
import { secondFactorsOfMembers, secondFactorTables } from './migrations/schema/second-factors.ts';
import { sessionTables } from './migrations/schema/sessions.ts';
import { tenantNames } from './migrations/tenant-names.ts';
import { roles } from './transaction.ts';

/** All migrations in order. Released statements never change. */
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
  { name: '0002-second-factors-of-members', statements: secondFactorsOfMembers },
  { name: '0003-status-of-own-memberships', statements: statusOfOwnMemberships },
  { name: '0004-tenant-names', statements: tenantNames },
];

/** Our database settings, except the location. */
export const authDatabase: Omit<OpenOptions, 'location' | 'name'> = {
  login: 'countersign_auth',
  roles: Object.values(roles),
  migrations,
};
