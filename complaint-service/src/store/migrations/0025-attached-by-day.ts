import type { Migration } from '@countersign/database';

/** What a user attached within a day is summed when they attach more. */
export const attachedByDayMigration: Migration = {
  name: '0025-attached-by-day',
  statements: [
    `create index attachments_of_uploader on attachments (tenant_id, uploader_id, created_at desc) include (bytes)`,
    `drop index attachments_by_uploader`,
  ],
};
