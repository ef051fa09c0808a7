import type { Migration } from '@countersign/database';

export const writesOfAUserMigration: Migration = {
  name: '0005-writes-of-a-user',
  statements: [
    `create index history_writes on history (tenant_id, actor_id, created_at desc)
       where action in ('filed', 'edited')`,
  ],
};
