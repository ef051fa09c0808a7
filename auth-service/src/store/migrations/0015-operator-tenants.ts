import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

const { operator } = roles;

export const operatorTenantsMigration: Migration = {
  name: '0015-operator-tenants',
  statements: [
    // Null when an operator invites: the first administrator of a tenant has no inviting member.
    `alter table invitations alter column invited_by drop not null`,
    `grant select (name) on tenants to ${operator}`,
    `create policy ${operator}_change on tenants for update to ${operator} using (true) with check (true)`,
  ],
};
