import { currentTenant, currentUser, rowSecurity } from '@countersign/database';
import { roles } from '../../transaction.ts';
import { only } from '../policies.ts';

const { login, app, self, factors, operator, upkeep } = roles;

const sessions = [
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
  `create policy ${app}_tenant on sessions to ${app} ${only(`tenant_id = ${currentTenant}`)}`,

  `grant select, update (revoked_at, revoked_reason, sealed_successor) on sessions to ${self}`,
  `create policy ${self}_own on sessions for select to ${self} using (user_id = ${currentUser})`,
  `create policy ${self}_end on sessions for update to ${self}
     using (user_id = ${currentUser}) with check (user_id = ${currentUser} and revoked_at is not null)`,

  `grant select (id, tenant_id, user_id, revoked_at, idle_expires_at, absolute_expires_at),
     update (revoked_at, revoked_reason, sealed_successor) on sessions to ${operator}`,
  `create policy ${operator}_see on sessions for select to ${operator} using (true)`,
  `create policy ${operator}_end on sessions for update to ${operator} using (true) with check (revoked_at is not null)`,

  // Upkeep deletes a sealed successor soon after its grace period, so that a stolen table has nothing to decrypt.
  `grant select, delete, update (sealed_successor) on sessions to ${upkeep}`,
  `create policy ${upkeep}_see on sessions for select to ${upkeep} using (
     absolute_expires_at < clock_timestamp() or rotated_at < clock_timestamp() - interval '30 seconds')`,
  `create policy ${upkeep}_expired on sessions for delete to ${upkeep} using (absolute_expires_at < clock_timestamp())`,
  `create policy ${upkeep}_unseal on sessions for update to ${upkeep}
     using (rotated_at < clock_timestamp() - interval '30 seconds') with check (sealed_successor is null)`,
];

// Unfinished logins. Only token hashes are stored, so that a reader of this table cannot use the tokens. A row has the
// authentication methods so far, and how the tokens will be sent.
const oneTimeTokens = [
  `create table one_time_tokens (
     hash bytea primary key check (length(hash) = 32),
     purpose text not null,
     user_id text not null references users,
     tenant_id text references tenants,
     created_at timestamptz not null,
     expires_at timestamptz not null,
     amr text[],
     transport text check (transport in ('body', 'cookie')),
     constraint one_time_tokens_step check (
       purpose not in ('tenant_selection', 'mfa') or (amr is not null and transport is not null)),
     constraint one_time_tokens_mfa check (purpose <> 'mfa' or tenant_id is not null))`,
  `create index one_time_tokens_by_expiry on one_time_tokens (expires_at)`,
  ...rowSecurity('one_time_tokens'),

  `grant select, insert, delete on one_time_tokens to ${login}`,
  `create policy ${login}_make on one_time_tokens for insert to ${login}
     with check (purpose = 'tenant_selection' and user_id = ${currentUser})`,
  `create policy ${login}_ask on one_time_tokens for insert to ${login}
     with check (purpose = 'mfa' and user_id = ${currentUser})`,
  // The token identifies the person, so the transaction does not have to.
  `create policy ${login}_find on one_time_tokens for select to ${login} using (purpose = 'tenant_selection')`,
  `create policy ${login}_use on one_time_tokens for delete to ${login} using (purpose = 'tenant_selection')`,
  `grant select, delete on one_time_tokens to ${factors}`,
  `create policy ${factors}_find on one_time_tokens for select to ${factors} using (purpose = 'mfa')`,
  `create policy ${factors}_use on one_time_tokens for delete to ${factors} using (purpose = 'mfa')`,
  `grant select, delete on one_time_tokens to ${upkeep}`,
  `create policy ${upkeep}_expired on one_time_tokens to ${upkeep} using (expires_at < clock_timestamp())`,
];

const loginAttempts = [
  `create table login_attempts (
     key text primary key,
     count integer not null,
     window_ends_at timestamptz not null)`,
  `create index login_attempts_by_end on login_attempts (window_ends_at)`,
  ...rowSecurity('login_attempts'),
  `grant select, insert, update, delete on login_attempts to ${login}`,
  `create policy ${login}_count on login_attempts to ${login} ${only('true')}`,
  `grant select, delete on login_attempts to ${upkeep}`,
  `create policy ${upkeep}_expired on login_attempts to ${upkeep} using (window_ends_at < clock_timestamp())`,
];

export const sessionTables = [...sessions, ...oneTimeTokens, ...loginAttempts];
