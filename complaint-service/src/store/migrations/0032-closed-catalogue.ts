import type { Migration } from '@countersign/database';
import { isStaff, restrictCommand } from './policies.ts';

/** Anyone who can register could fill a catalogue that is open to complainants. */
export const closedCatalogueMigration: Migration = {
  name: '0032-closed-catalogue',
  statements: [
    `alter table settings alter column open_catalogue set default false`,
    restrictCommand('categories', 'insert', isStaff),
  ],
};
