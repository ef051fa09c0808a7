import type { Migration } from '@countersign/database';
import { upkeepRole } from '../roles.ts';

/**
 * What is due and what is old is found by an index. An index can be searched for `statement_timestamp()`, but not for
 * `clock_timestamp()`, which has another value for each row.
 */
export const upkeepByIndexMigration: Migration = {
  name: '0029-upkeep-by-index',
  statements: [
    `create index webhook_deliveries_waiting on webhook_deliveries (tenant_id, webhook_id, due_at, seq)
       where state = 'waiting'`,
    `drop index webhook_deliveries_due`,
    `alter policy upkeep on webhook_deliveries to ${upkeepRole}
       using (state <> 'waiting' and created_at < statement_timestamp() - interval '30 days')`,
    `alter policy upkeep on events to ${upkeepRole} using (created_at < statement_timestamp() - interval '24 hours')`,
  ],
};
