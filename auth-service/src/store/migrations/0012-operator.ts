import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { lockOnly } from './policies.ts';

const { keys, operator } = roles;

export const operatorMigration: Migration = {
  name: '0012-operator',
  statements: [
    `grant update (activate_at, retire_at, remove_at, revoked_at, private_enc, kek_id) on signing_keys to ${keys}`,
    `grant select, insert on revocations to ${keys}`,
    `create policy ${keys}_read on revocations for select to ${keys} using (kind = 'key')`,
    `create policy ${keys}_write on revocations for insert to ${keys} with check (kind = 'key')`,
    // Entries without a tenant have a separate chain.
    `grant select, insert on audit_log to ${keys}, ${operator}`,
    `create policy ${keys}_read on audit_log for select to ${keys} using (tenant_id = 'operator')`,
    `create policy ${keys}_append on audit_log for insert to ${keys} with check (tenant_id = 'operator')`,
    `grant select (user_id, secret_enc, kek_id), update (secret_enc, kek_id) on totp to ${keys}`,
    `create policy ${keys}_rewrap on totp to ${keys} using (true) with check (true)`,

    // Across tenants, limited to the operator's commands: the role cannot start a session or read a secret.
    `grant select (id, slug, status) on tenants to ${operator}`,
    `create policy ${operator}_read on tenants for select to ${operator} using (true)`,
    ...lockOnly(operator, 'tenants', 'status', 'true'),
    `grant select (id, email_ci, status), update (status) on users to ${operator}`,
    `create policy ${operator}_change on users to ${operator} using (true) with check (true)`,
    `grant select (id, tenant_id, user_id, revoked_at, idle_expires_at, absolute_expires_at),
       update (revoked_at, revoked_reason, sealed_successor) on sessions to ${operator}`,
    `create policy ${operator}_see on sessions for select to ${operator} using (true)`,
    `create policy ${operator}_end on sessions for update to ${operator}
       using (true) with check (revoked_at is not null)`,
    `grant select, insert on revocations to ${operator}`,
    `create policy ${operator}_read on revocations for select to ${operator} using (true)`,
    `create policy ${operator}_write on revocations for insert to ${operator}
       with check (kind in ('session', 'user', 'tenant'))`,
    `grant select, update (id) on revocation_log to ${operator}`,
    `create policy ${operator}_renew on revocation_log to ${operator} using (true) with check (true)`,
    `create policy ${operator}_read on audit_log for select to ${operator} using (true)`,
    `create policy ${operator}_append on audit_log for insert to ${operator} with check (true)`,
    `grant select (user_id), delete on totp, recovery_codes to ${operator}`,
    `create policy ${operator}_reset on totp to ${operator} using (true) with check (false)`,
    `create policy ${operator}_reset on recovery_codes to ${operator} using (true) with check (false)`,
  ],
};
