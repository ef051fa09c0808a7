import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

const { operator } = roles;

export const operatorTenantsMigration: Migration = {
  name: '0015-operator-tenants',
  statements: [
    // Nobody, where an operator invites: a tenant's first administrator has no one in it to be invited by.
    `alter table invitations alter column invited_by drop not null`,
    `grant select (name) on tenants to ${operator}`,
    `create policy ${operator}_change on tenants for update to ${operator} using (true) with check (true)`,
  ],
};
