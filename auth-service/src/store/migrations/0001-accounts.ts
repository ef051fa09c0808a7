import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, currentUser, lockOnly, rowSecurity } from './policies.ts';

const { login, app, self, accounts } = roles;

export const accountsMigration: Migration = {
  name: '0001-accounts',
  statements: [
    `create table tenants (
       id text primary key,
       slug text not null unique check (slug ~ '^[a-z0-9-]{1,64}$'),
       name text not null,
       status text not null default 'active' check (status in ('active', 'disabled')))`,
    `create table users (
       id text primary key,
       email_ci text not null unique,
       email_verified_at timestamptz,
       status text not null default 'active' check (status in ('active', 'disabled')))`,
    `create table credentials (
       user_id text primary key references users,
       hash text not null,
       pepper_kid text not null,
       changed_at timestamptz not null default clock_timestamp())`,
    `create table memberships (
       tenant_id text not null references tenants,
       user_id text not null references users,
       role text not null check (role ~ '^[a-z0-9_-]{1,64}$'),
       status text not null default 'active' check (status in ('active', 'disabled')),
       primary key (tenant_id, user_id))`,
    `create index memberships_by_user on memberships (user_id)`,
    ...['tenants', 'users', 'credentials', 'memberships'].flatMap(rowSecurity),

    // Login: reads the id and status of any person by e-mail, and the credential and memberships of the one it names.
    `grant select (id, email_ci, status) on users to ${login}`,
    `create policy ${login}_read on users for select to ${login} using (true)`,
    `grant select, update (hash, pepper_kid) on credentials to ${login}`,
    `create policy ${login}_read on credentials for select to ${login} using (user_id = ${currentUser})`,
    `create policy ${login}_rehash on credentials for update to ${login}
       using (user_id = ${currentUser}) with check (user_id = ${currentUser})`,
    `grant select on memberships to ${login}`,
    `create policy ${login}_read on memberships for select to ${login} using (user_id = ${currentUser})`,
    `grant select on tenants to ${login}`,
    `create policy ${login}_read on tenants for select to ${login}
       using (exists (select from memberships m where m.tenant_id = tenants.id and m.user_id = ${currentUser}))`,

    // Issuing: locks and reads the holder of a session, changes nothing. Of the credential it learns only its age.
    `grant select on tenants, memberships to ${app}`,
    `grant select (id, email_ci, status) on users to ${app}`,
    `grant select (user_id, changed_at) on credentials to ${app}`,
    `create policy ${app}_read on tenants for select to ${app} using (id = ${currentTenant})`,
    `create policy ${app}_read on users for select to ${app} using (id = ${currentUser})`,
    `create policy ${app}_read on credentials for select to ${app} using (user_id = ${currentUser})`,
    `create policy ${app}_read on memberships for select to ${app} using (tenant_id = ${currentTenant})`,
    ...lockOnly(app, 'tenants', 'status', `id = ${currentTenant}`),
    ...lockOnly(app, 'users', 'status', `id = ${currentUser}`),
    ...lockOnly(app, 'memberships', 'status', `tenant_id = ${currentTenant}`),

    // Ending all of one's sessions locks one's own row.
    `grant select (id, status) on users to ${self}`,
    `create policy ${self}_read on users for select to ${self} using (id = ${currentUser})`,
    ...lockOnly(self, 'users', 'status', `id = ${currentUser}`),

    `grant select, insert on tenants, memberships to ${accounts}`,
    `grant select (id, email_ci), insert on users to ${accounts}`,
    `grant select (user_id), insert on credentials to ${accounts}`,
    `create policy ${accounts}_write on tenants to ${accounts}
       using (id = ${currentTenant}) with check (id = ${currentTenant})`,
    `create policy ${accounts}_write on memberships to ${accounts}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,
    `create policy ${accounts}_write on users to ${accounts}
       using (id = ${currentUser}) with check (id = ${currentUser})`,
    `create policy ${accounts}_write on credentials to ${accounts}
       using (user_id = ${currentUser}) with check (user_id = ${currentUser})`,
  ],
};
