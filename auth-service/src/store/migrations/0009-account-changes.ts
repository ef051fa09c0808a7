import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, currentUser } from './policies.ts';

const { accounts, self } = roles;

export const accountChangesMigration: Migration = {
  name: '0009-account-changes',
  statements: [
    `grant select (hash), update (hash, pepper_kid, changed_at) on credentials to ${accounts}`,
    `grant update (role, status) on memberships to ${accounts}`,
    // People of the current tenant: an invitation checks whether an address is a member, a change reads the member's address.
    `grant select (status) on users to ${accounts}`,
    `create policy ${accounts}_members on users for select to ${accounts} using (exists (
       select from memberships m where m.user_id = users.id and m.tenant_id = ${currentTenant}))`,
    // The tenant of new accounts is configured by its slug.
    `create policy ${accounts}_find on tenants for select to ${accounts} using (true)`,

    // Account changes are reported to every tenant of the account.
    `grant select (tenant_id, user_id) on memberships to ${self}`,
    `create policy ${self}_read on memberships for select to ${self} using (user_id = ${currentUser})`,
  ],
};
