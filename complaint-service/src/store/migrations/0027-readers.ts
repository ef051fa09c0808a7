import type { Migration } from '@countersign/database';
import { readerRole } from '../roles.ts';

// The policy of the tenant applies to every role. The policies of requests, which need a user, do not apply to machines.
export const readersMigration: Migration = {
  name: '0027-readers',
  statements: [`grant select on complaints, terms, categories to ${readerRole}`],
};
