import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, currentUser, rowSecurity } from './policies.ts';

const { app, self, operator, upkeep } = roles;

export const delegationsMigration: Migration = {
  name: '0023-delegations',
  statements: [
    // A person's consent that a client acts for them. The id is the session id (`sid`) of the tokens made from it.
    `create table delegations (
       id text primary key,
       tenant_id text not null,
       user_id text not null,
       client_id text not null,
       session_id text not null,
       scopes text[] not null,
       token_hash bytea not null unique check (length(token_hash) = 32),
       created_at timestamptz not null default clock_timestamp(),
       expires_at timestamptz not null,
       last_used_at timestamptz,
       revoked_at timestamptz,
       foreign key (tenant_id, user_id) references memberships (tenant_id, user_id),
       foreign key (tenant_id, client_id) references clients (tenant_id, id) on delete cascade)`,
    `create index delegations_by_user on delegations (user_id)`,
    `create index delegations_by_session on delegations (session_id)`,
    `create index delegations_by_client on delegations (tenant_id, client_id)`,
    `create index delegations_by_expiry on delegations (expires_at)`,
    ...rowSecurity('delegations'),

    `grant select, insert, update (last_used_at) on delegations to ${app}`,
    `create policy ${app}_use on delegations to ${app}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,

    // A person sees and withdraws their own, and sees the names of these clients.
    `grant select (id, tenant_id, user_id, client_id, session_id, scopes, created_at, expires_at, last_used_at, revoked_at),
       update (revoked_at) on delegations to ${self}`,
    `create policy ${self}_own on delegations for select to ${self} using (user_id = ${currentUser})`,
    `create policy ${self}_withdraw on delegations for update to ${self}
       using (user_id = ${currentUser}) with check (user_id = ${currentUser} and revoked_at is not null)`,
    `grant select (id, name) on clients to ${self}`,
    `create policy ${self}_read on clients for select to ${self} using (exists (
       select from delegations d where d.client_id = clients.id and d.user_id = ${currentUser}))`,

    // Ending a person's sessions ends what was delegated from them.
    `grant select (id, tenant_id, user_id, session_id, expires_at, revoked_at) on delegations to ${operator}`,
    `create policy ${operator}_see on delegations for select to ${operator} using (true)`,

    `grant select, delete on delegations to ${upkeep}`,
    `create policy ${upkeep}_expired on delegations to ${upkeep} using (expires_at < clock_timestamp())`,
  ],
};
