import type { Migration } from '@countersign/database';
import { currentUser, isStaff, restrictCommand, restrictRequests, seesComplaint } from './policies.ts';

/** Complainants reach only their own complaints and no internal comment, in the database too. */
export const requestPoliciesMigration: Migration = {
  name: '0012-request-policies',
  statements: [
    restrictRequests('complaints', { using: `${isStaff} or complainant_id = ${currentUser}` }),
    restrictCommand('complaints', 'insert', `created_by = ${currentUser}`),
    restrictRequests('terms', { using: seesComplaint('terms') }),
    restrictRequests('comments', { using: `${isStaff} or (not internal and ${seesComplaint('comments')})` }),
    restrictCommand('comments', 'insert', `author_id = ${currentUser}`),
    restrictRequests('history', { using: seesComplaint('history') }),
    restrictCommand('history', 'insert', `actor_id = ${currentUser}`),
  ],
};
