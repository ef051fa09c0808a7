import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, currentUser, rowSecurity } from './policies.ts';

const { app, self, upkeep } = roles;

export const sessionsMigration: Migration = {
  name: '0002-sessions',
  statements: [
    `create table sessions (
       id text primary key,
       tenant_id text not null,
       user_id text not null,
       counter integer not null check (counter > 0),
       token_hash bytea not null check (length(token_hash) = 32),
       sealed_successor bytea,
       mac_kid text not null,
       rotated_at timestamptz,
       absolute_expires_at timestamptz not null,
       idle_expires_at timestamptz not null,
       revoked_at timestamptz,
       revoked_reason text,
       client_id text not null,
       user_agent text,
       ip text,
       auth_time timestamptz not null,
       amr text[] not null,
       jkt text,
       created_at timestamptz not null default clock_timestamp(),
       last_used_at timestamptz not null default clock_timestamp(),
       foreign key (tenant_id, user_id) references memberships (tenant_id, user_id),
       check ((revoked_at is null) = (revoked_reason is null)))`,
    `create index sessions_by_user on sessions (user_id)`,
    `create index sessions_by_expiry on sessions (absolute_expires_at)`,
    `create index sessions_sealed on sessions (rotated_at) where sealed_successor is not null`,
    ...rowSecurity('sessions'),

    `grant select, insert, update on sessions to ${app}`,
    `create policy ${app}_tenant on sessions to ${app}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,

    `grant select, update (revoked_at, revoked_reason, sealed_successor) on sessions to ${self}`,
    `create policy ${self}_own on sessions for select to ${self} using (user_id = ${currentUser})`,
    `create policy ${self}_end on sessions for update to ${self}
       using (user_id = ${currentUser}) with check (user_id = ${currentUser} and revoked_at is not null)`,

    // Upkeep removes a sealed successor soon after its grace period, so that a later thief finds nothing to open.
    `grant select, delete, update (sealed_successor) on sessions to ${upkeep}`,
    `create policy ${upkeep}_see on sessions for select to ${upkeep} using (
       absolute_expires_at < clock_timestamp() or rotated_at < clock_timestamp() - interval '30 seconds')`,
    `create policy ${upkeep}_expired on sessions for delete to ${upkeep} using (absolute_expires_at < clock_timestamp())`,
    `create policy ${upkeep}_unseal on sessions for update to ${upkeep}
       using (rotated_at < clock_timestamp() - interval '30 seconds') with check (sealed_successor is null)`,
  ],
};
