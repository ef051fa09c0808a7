import type { Migration } from '@countersign/database';
import { attachmentTables } from './schema/attachments.ts';
import { catalogueTables } from './schema/catalogue.ts';
import { complaintTables } from './schema/complaints.ts';
import { deliveryTables } from './schema/deliveries.ts';
import { erasureTables } from './schema/erasure.ts';
import { statisticsTables } from './schema/statistics.ts';

/** All migrations in order. The statements of a released one never change. */
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
];
