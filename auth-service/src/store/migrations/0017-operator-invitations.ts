import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';

const { operator } = roles;

export const operatorInvitationsMigration: Migration = {
  name: '0017-operator-invitations',
  statements: [
    `create index invitations_open_by_inviter on invitations (invited_by, tenant_id)
       where accepted_at is null and revoked_at is null`,
    // Disabling an account withdraws the invitations it has sent.
    `grant select (id, tenant_id, email_ci, invited_by, accepted_at, revoked_at, expires_at), update (revoked_at)
       on invitations to ${operator}`,
    `create policy ${operator}_see on invitations for select to ${operator} using (true)`,
    `create policy ${operator}_withdraw on invitations for update to ${operator}
       using (true) with check (revoked_at is not null)`,
  ],
};
