import type { Migration } from '@countersign/database';

export const registrationsWithoutPasswordMigration: Migration = {
  name: '0019-registrations-without-password',
  statements: [
    // The holder of the mailed link chooses the password, so that no other person knows it. Pending registrations stay valid
    // and their links keep working; the passwords they were made with are dropped.
    `alter table registrations drop column hash, drop column pepper_kid`,
  ],
};
