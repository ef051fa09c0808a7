import type { Migration, OpenOptions } from '@countersign/database';
import { mailTables } from './migrations/mails.ts';
import { complaintNumbers } from './migrations/numbers.ts';
import { attachmentTables } from './migrations/schema/attachments.ts';
import { catalogueTables } from './migrations/schema/catalogue.ts';
import { complaintTables } from './migrations/schema/complaints.ts';
import { deliveryTables } from './migrations/schema/deliveries.ts';
import { erasureTables } from './migrations/schema/erasure.ts';
import { statisticsTables } from './migrations/schema/statistics.ts';
import { loginRole, requestRoles } from './roles.ts';

/** All migrations in order. Released statements never change. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-schema',
    statements: [
      ...catalogueTables,
      ...complaintTables,
      ...attachmentTables,
      ...statisticsTables,
      ...deliveryTables,
      ...erasureTables,
    ],
  },
  { name: '0002-numbers', statements: complaintNumbers },
  { name: '0003-mails', statements: mailTables },
];

/** Our database settings, except the location. */
export const complaintsDatabase: Omit<OpenOptions, 'location' | 'name'> = {
  login: loginRole,
  roles: requestRoles,
  migrations,
};
