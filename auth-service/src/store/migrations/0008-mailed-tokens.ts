import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, rowSecurity } from './policies.ts';

const { accounts, courier, upkeep } = roles;

export const mailedTokensMigration: Migration = {
  name: '0008-mailed-tokens',
  statements: [
    // An account is created when its address is confirmed; until then only this row exists, and each attempt has its own
    // password. So an attacker cannot register a foreign address with their password and wait for its owner.
    `create table registrations (
       id text primary key,
       email_ci text not null,
       hash text not null,
       pepper_kid text not null,
       created_at timestamptz not null default clock_timestamp(),
       expires_at timestamptz not null)`,
    `create index registrations_by_email on registrations (email_ci)`,
    `create index registrations_by_expiry on registrations (expires_at)`,

    `create table invitations (
       id text primary key,
       tenant_id text not null references tenants,
       email_ci text not null,
       role text not null check (role ~ '^[a-z0-9_-]{1,64}$'),
       invited_by text not null references users,
       created_at timestamptz not null default clock_timestamp(),
       expires_at timestamptz not null,
       accepted_at timestamptz,
       accepted_by text references users,
       revoked_at timestamptz,
       check ((accepted_at is null) = (accepted_by is null)))`,
    `create unique index invitations_open on invitations (tenant_id, email_ci)
       where accepted_at is null and revoked_at is null`,
    `create index invitations_by_email on invitations (email_ci)`,

    // Tokens are made with the mail and stored as a hash: neither this table nor the outbox holds a usable token.
    `create table mailed_tokens (
       hash bytea primary key check (length(hash) = 32),
       purpose text not null check (purpose in ('email_verification', 'password_reset', 'invitation')),
       registration_id text references registrations on delete cascade,
       user_id text references users on delete cascade,
       invitation_id text references invitations on delete cascade,
       tenant_id text references tenants,
       created_at timestamptz not null default clock_timestamp(),
       expires_at timestamptz not null,
       check ((registration_id is not null) = (purpose = 'email_verification')),
       check ((user_id is not null) = (purpose = 'password_reset')),
       check ((invitation_id is not null and tenant_id is not null) = (purpose = 'invitation')))`,
    `create index mailed_tokens_by_user on mailed_tokens (user_id)`,
    `create index mailed_tokens_by_registration on mailed_tokens (registration_id)`,
    `create index mailed_tokens_by_invitation on mailed_tokens (invitation_id)`,
    `create index mailed_tokens_by_expiry on mailed_tokens (expires_at)`,
    ...['registrations', 'invitations', 'mailed_tokens'].flatMap(rowSecurity),

    `grant select, insert, delete on registrations to ${accounts}`,
    `create policy ${accounts}_all on registrations to ${accounts} using (true) with check (true)`,
    `grant select, insert, update (accepted_at, accepted_by, revoked_at) on invitations to ${accounts}`,
    `create policy ${accounts}_tenant on invitations to ${accounts}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,
    // The token itself identifies the person, so the transaction names no person yet.
    `grant select, delete on mailed_tokens to ${accounts}`,
    `create policy ${accounts}_find on mailed_tokens for select to ${accounts} using (true)`,
    `create policy ${accounts}_use on mailed_tokens for delete to ${accounts} using (true)`,

    `grant select (id, email_ci, created_at, expires_at), delete on registrations to ${courier}`,
    `create policy ${courier}_all on registrations to ${courier} using (true)`,
    `grant select on invitations to ${courier}`,
    `create policy ${courier}_read on invitations for select to ${courier} using (true)`,
    `grant select (id, name, status) on tenants to ${courier}`,
    `create policy ${courier}_read on tenants for select to ${courier} using (true)`,
    `grant select (id, email_ci, status) on users to ${courier}`,
    `create policy ${courier}_read on users for select to ${courier} using (true)`,
    `grant insert on mailed_tokens to ${courier}`,
    `create policy ${courier}_make on mailed_tokens for insert to ${courier} with check (true)`,

    `grant select, delete on registrations, mailed_tokens, invitations to ${upkeep}`,
    `create policy ${upkeep}_expired on registrations to ${upkeep} using (expires_at < clock_timestamp())`,
    `create policy ${upkeep}_expired on mailed_tokens to ${upkeep} using (expires_at < clock_timestamp())`,
    // Kept for a while, so that a late person is told that the invitation has expired.
    `create policy ${upkeep}_expired on invitations to ${upkeep}
       using (expires_at < clock_timestamp() - interval '30 days')`,
  ],
};
