import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentUser, rowSecurity } from './policies.ts';

const { login, upkeep } = roles;

export const loginMigration: Migration = {
  name: '0003-login',
  statements: [
    // Stores only hashes, so that a reader of this table cannot use the tokens.
    `create table one_time_tokens (
       hash bytea primary key check (length(hash) = 32),
       purpose text not null,
       user_id text not null references users,
       tenant_id text references tenants,
       created_at timestamptz not null,
       expires_at timestamptz not null)`,
    `create index one_time_tokens_by_expiry on one_time_tokens (expires_at)`,
    ...rowSecurity('one_time_tokens'),
    `grant select, insert, delete on one_time_tokens to ${login}`,
    `create policy ${login}_make on one_time_tokens for insert to ${login}
       with check (purpose = 'tenant_selection' and user_id = ${currentUser})`,
    // The token itself identifies the person, so the transaction names no person yet.
    `create policy ${login}_find on one_time_tokens for select to ${login} using (purpose = 'tenant_selection')`,
    `create policy ${login}_use on one_time_tokens for delete to ${login} using (purpose = 'tenant_selection')`,

    `create table login_attempts (
       key text primary key,
       count integer not null,
       window_ends_at timestamptz not null)`,
    `create index login_attempts_by_end on login_attempts (window_ends_at)`,
    ...rowSecurity('login_attempts'),
    `grant select, insert, update, delete on login_attempts to ${login}`,
    `create policy ${login}_count on login_attempts to ${login} using (true) with check (true)`,

    `grant select, delete on one_time_tokens, login_attempts to ${upkeep}`,
    `create policy ${upkeep}_expired on one_time_tokens to ${upkeep} using (expires_at < clock_timestamp())`,
    `create policy ${upkeep}_expired on login_attempts to ${upkeep} using (window_ends_at < clock_timestamp())`,
  ],
};
