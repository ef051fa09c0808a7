import type { Migration } from '@countersign/database';

export const revocationsOfHoldersMigration: Migration = {
  name: '0021-revocations-of-holders',
  statements: [
    // Issuing a token looks for revocations of its holder, never for ended sessions, of which a tenant can have 100,000 in the
    // quarter of an hour for which they stay. The indexes before held them all.
    `create index revocations_of_holders on revocations (tenant_id, kind, user_id) where kind in ('member', 'tenant')`,
    `create index revocations_of_users on revocations (user_id) where kind = 'user'`,
    `drop index revocations_by_tenant`,
    `drop index revocations_by_user`,
  ],
};
