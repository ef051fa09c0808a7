import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

const { operator } = roles;

export const operatorMembersMigration: Migration = {
  name: '0016-operator-members',
  statements: [
    // Disabling an account gives its memberships a new number, with which the directory of each tenant is told.
    `grant select (tenant_id, user_id, role, status, version), update (version) on memberships to ${operator}`,
    `create policy ${operator}_renumber on memberships to ${operator} using (true) with check (true)`,
    `grant insert on outbox to ${operator}`,
    `create policy ${operator}_add on outbox for insert to ${operator} with check (topic = 'membership')`,
  ],
};
