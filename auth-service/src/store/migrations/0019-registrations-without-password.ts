import type { Migration } from '@countersign/database';

export const registrationsWithoutPasswordMigration: Migration = {
  name: '0019-registrations-without-password',
  statements: [
    // The password is chosen with the mailed link, so that an account never begins with one that somebody else knows. Pending
    // registrations stay and their links go on working; the passwords that they were made with are forgotten.
    `alter table registrations drop column hash, drop column pepper_kid`,
  ],
};
