import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, currentUser } from './policies.ts';

const { self, factors } = roles;

export const secondFactorChangesMigration: Migration = {
  name: '0011-second-factor-changes',
  statements: [
    // Checking a code remembers its step and uses up a recovery code; only the person themselves changes more.
    `revoke insert, update, delete on totp from ${factors}`,
    `grant update (last_step) on totp to ${factors}`,
    `revoke insert on recovery_codes from ${factors}`,
    `grant select, insert on audit_log to ${factors}`,
    `create policy ${factors}_read on audit_log for select to ${factors} using (tenant_id = ${currentTenant})`,
    `create policy ${factors}_append on audit_log for insert to ${factors} with check (tenant_id = ${currentTenant})`,

    `grant select, insert, update, delete on totp to ${self}`,
    `create policy ${self}_own on totp to ${self} using (user_id = ${currentUser}) with check (user_id = ${currentUser})`,
    `grant select, insert, delete on recovery_codes to ${self}`,
    `create policy ${self}_own on recovery_codes to ${self}
       using (user_id = ${currentUser}) with check (user_id = ${currentUser})`,
    `grant select (email_ci) on users to ${self}`,
  ],
};
