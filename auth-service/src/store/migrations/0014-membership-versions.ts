import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

export const membershipVersionsMigration: Migration = {
  name: '0014-membership-versions',
  statements: [
    // Receivers of member states keep the one with the highest version. A counter would restart at its backup value after a
    // restore, and new states would look old. So the version is the time in microseconds, or one more if the clock went back.
    `alter table memberships add column version bigint not null
       default (extract(epoch from clock_timestamp()) * 1000000)::bigint`,
    `grant update (version) on memberships to ${roles.accounts}`,
  ],
};
