import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentUser, lockOnly, rowSecurity } from './policies.ts';

const { login, app, factors } = roles;

export const secondFactorsMigration: Migration = {
  name: '0010-second-factors',
  statements: [
    // A multi-step login stores the proof so far, and the transport for the tokens.
    `delete from one_time_tokens where purpose = 'tenant_selection'`,
    `alter table one_time_tokens add column amr text[], add column transport text
       check (transport in ('body', 'cookie'))`,
    `alter table one_time_tokens add constraint one_time_tokens_step check (
       purpose not in ('tenant_selection', 'mfa') or (amr is not null and transport is not null))`,
    `alter table one_time_tokens add constraint one_time_tokens_mfa check (purpose <> 'mfa' or tenant_id is not null)`,
    `create policy ${login}_ask on one_time_tokens for insert to ${login}
       with check (purpose = 'mfa' and user_id = ${currentUser})`,
    `grant select, delete on one_time_tokens to ${factors}`,
    `create policy ${factors}_find on one_time_tokens for select to ${factors} using (purpose = 'mfa')`,
    `create policy ${factors}_use on one_time_tokens for delete to ${factors} using (purpose = 'mfa')`,

    // The secret is sealed under the service's key: the table alone makes no code.
    `create table totp (
       user_id text primary key references users,
       secret_enc bytea not null,
       kek_id text not null,
       confirmed_at timestamptz,
       last_step bigint,
       created_at timestamptz not null default clock_timestamp())`,
    `create table recovery_codes (
       hash bytea primary key check (length(hash) = 32),
       user_id text not null references users,
       created_at timestamptz not null default clock_timestamp())`,
    `create index recovery_codes_by_user on recovery_codes (user_id)`,
    ...['totp', 'recovery_codes'].flatMap(rowSecurity),

    // The issuing role sees only whether there is a second factor.
    `grant select (user_id, confirmed_at) on totp to ${app}`,
    `create policy ${app}_read on totp for select to ${app} using (user_id = ${currentUser})`,

    `grant select, insert, update, delete on totp to ${factors}`,
    `create policy ${factors}_own on totp to ${factors}
       using (user_id = ${currentUser}) with check (user_id = ${currentUser})`,
    `grant select, insert, delete on recovery_codes to ${factors}`,
    `create policy ${factors}_own on recovery_codes to ${factors}
       using (user_id = ${currentUser}) with check (user_id = ${currentUser})`,
    `grant select (id, status, email_ci) on users to ${factors}`,
    `create policy ${factors}_read on users for select to ${factors} using (id = ${currentUser})`,
    ...lockOnly(factors, 'users', 'status', `id = ${currentUser}`),
  ],
};
