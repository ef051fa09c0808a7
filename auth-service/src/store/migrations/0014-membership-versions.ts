import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

export const membershipVersionsMigration: Migration = {
  name: '0014-membership-versions',
  statements: [
    // Who is told of members keeps the newest by this. A count would begin again where a restored backup ends, and what is
    // told then would look old: so it is the time in microseconds, and one more where the clock has gone back.
    `alter table memberships add column version bigint not null
       default (extract(epoch from clock_timestamp()) * 1000000)::bigint`,
    `grant update (version) on memberships to ${roles.accounts}`,
  ],
};
