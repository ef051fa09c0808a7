import type { Migration } from '@countersign/database';

export const upkeepIndexesMigration: Migration = {
  name: '0020-upkeep-indexes',
  statements: [
    // Upkeep finds what has expired by an index in every table; these two had none.
    `create index invitations_by_expiry on invitations (expires_at)`,
    `create index outbox_parked on outbox (parked_at) where parked_at is not null`,
  ],
};
