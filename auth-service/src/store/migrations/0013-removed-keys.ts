import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

const { upkeep } = roles;

export const removedKeysMigration: Migration = {
  name: '0013-removed-keys',
  statements: [
    // A key that verifies nothing any more is only something to steal, and an old master key would open it for ever.
    `grant delete on signing_keys to ${upkeep}`,
    `create policy ${upkeep}_removed on signing_keys for delete to ${upkeep} using (remove_at < clock_timestamp())`,
  ],
};
