import type { Migration } from '@countersign/database';
import { allForStaff, currentUser, restrictCommand, restrictRequests, seesComplaint } from './policies.ts';

/** Complainants reach only their own complaints and no internal comment, in the database too. */
export const requestPoliciesMigration: Migration = {
  name: '0012-request-policies',
  statements: [
    restrictRequests('complaints', { using: allForStaff(`complainant_id = ${currentUser}`) }),
    restrictCommand('complaints', 'insert', `created_by = ${currentUser}`),
    // The planner chooses between the newest complaints and the rows of a word: it must know how common each word is.
    `alter table terms alter column term set statistics 2000`,
    restrictRequests('terms', { using: seesComplaint('terms') }),
    restrictRequests('comments', { using: allForStaff(`not internal and ${seesComplaint('comments')}`) }),
    restrictCommand('comments', 'insert', `author_id = ${currentUser}`),
    restrictRequests('history', { using: seesComplaint('history') }),
    restrictCommand('history', 'insert', `actor_id = ${currentUser}`),
  ],
};
