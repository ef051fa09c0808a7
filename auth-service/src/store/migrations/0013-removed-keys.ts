import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

const { upkeep } = roles;

export const removedKeysMigration: Migration = {
  name: '0013-removed-keys',
  statements: [
    // A key that no longer verifies tokens is only a risk: an old master key could open it for ever.
    `grant delete on signing_keys to ${upkeep}`,
    `create policy ${upkeep}_removed on signing_keys for delete to ${upkeep} using (remove_at < clock_timestamp())`,
  ],
};
