import { currentTenant, currentUser, rowSecurity } from '@countersign/database';
import { roles } from '../../transaction.ts';
import { lockOnly, only } from '../policies.ts';

const { login, app, self, accounts, factors, courier, operator } = roles;

const tenants = [
  `create table tenants (
     id text primary key,
     slug text not null unique check (slug ~ '^[a-z0-9-]{1,64}$'),
     name text not null,
     status text not null default 'active' check (status in ('active', 'disabled')))`,
  ...rowSecurity('tenants'),
];

const users = [
  `create table users (
     id text primary key,
     email_ci text not null unique,
     email_verified_at timestamptz,
     status text not null default 'active' check (status in ('active', 'disabled')))`,
  ...rowSecurity('users'),
];

const credentials = [
  `create table credentials (
     user_id text primary key references users,
     hash text not null,
     pepper_kid text not null,
     changed_at timestamptz not null default clock_timestamp())`,
  ...rowSecurity('credentials'),
];

// Other services keep the membership with the highest version. A counter would repeat versions after a restore, so the
// version is the time in microseconds, or the previous version plus one if the clock went back.
const memberships = [
  `create table memberships (
     tenant_id text not null references tenants,
     user_id text not null references users,
     role text not null check (role ~ '^[a-z0-9_-]{1,64}$'),
     status text not null default 'active' check (status in ('active', 'disabled')),
     version bigint not null default (extract(epoch from clock_timestamp()) * 1000000)::bigint,
     primary key (tenant_id, user_id))`,
  `create index memberships_by_user on memberships (user_id)`,
  ...rowSecurity('memberships'),
];

// Reads any user's id and status by email address, but credentials and memberships only of the user that the
// transaction names.
const forLogin = [
  `grant select (id, email_ci, status) on users to ${login}`,
  `create policy ${login}_read on users for select to ${login} using (true)`,
  `grant select, update (hash, pepper_kid) on credentials to ${login}`,
  `create policy ${login}_read on credentials for select to ${login} using (user_id = ${currentUser})`,
  `create policy ${login}_rehash on credentials for update to ${login} ${only(`user_id = ${currentUser}`)}`,
  `grant select on memberships to ${login}`,
  `create policy ${login}_read on memberships for select to ${login} using (user_id = ${currentUser})`,
  `grant select on tenants to ${login}`,
  `create policy ${login}_read on tenants for select to ${login}
     using (exists (select from memberships m where m.tenant_id = tenants.id and m.user_id = ${currentUser}))`,
];

// Locks and reads a session's user and the age of their credential. Changes nothing.
const forIssuing = [
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
];

// Ending all of a user's sessions locks the user's row. Other services receive account changes in each of the user's
// tenants.
const forOneself = [
  `grant select (id, status, email_ci) on users to ${self}`,
  `create policy ${self}_read on users for select to ${self} using (id = ${currentUser})`,
  ...lockOnly(self, 'users', 'status', `id = ${currentUser}`),
  `grant select (tenant_id, user_id) on memberships to ${self}`,
  `create policy ${self}_read on memberships for select to ${self} using (user_id = ${currentUser})`,
  `grant select (id, status, email_ci) on users to ${factors}`,
  `create policy ${factors}_read on users for select to ${factors} using (id = ${currentUser})`,
  ...lockOnly(factors, 'users', 'status', `id = ${currentUser}`),
];

const forAccounts = [
  `grant select, insert on tenants to ${accounts}`,
  `create policy ${accounts}_write on tenants to ${accounts} ${only(`id = ${currentTenant}`)}`,
  // The configuration names the tenant of new accounts by its slug.
  `create policy ${accounts}_find on tenants for select to ${accounts} using (true)`,
  `grant select, insert, update (role, status, version) on memberships to ${accounts}`,
  `create policy ${accounts}_write on memberships to ${accounts} ${only(`tenant_id = ${currentTenant}`)}`,
  `grant select (id, email_ci, status), insert on users to ${accounts}`,
  `create policy ${accounts}_write on users to ${accounts} ${only(`id = ${currentUser}`)}`,
  // Sees people in the current tenant: an invitation checks whether its address belongs to a member, and a member
  // change reads the member's address.
  `create policy ${accounts}_members on users for select to ${accounts} using (exists (
     select from memberships m where m.user_id = users.id and m.tenant_id = ${currentTenant}))`,
  `grant select (user_id, hash), insert, update (hash, pepper_kid, changed_at) on credentials to ${accounts}`,
  `create policy ${accounts}_write on credentials to ${accounts} ${only(`user_id = ${currentUser}`)}`,
];

const forCourier = [
  `grant select (id, name, status) on tenants to ${courier}`,
  `create policy ${courier}_read on tenants for select to ${courier} using (true)`,
  `grant select (id, email_ci, status) on users to ${courier}`,
  `create policy ${courier}_read on users for select to ${courier} using (true)`,
];

// Works in all tenants, but only as operator commands require. It cannot start a session or read a secret.
const forOperator = [
  `grant select (id, slug, status, name) on tenants to ${operator}`,
  `create policy ${operator}_read on tenants for select to ${operator} using (true)`,
  `create policy ${operator}_change on tenants for update to ${operator} ${only('true')}`,
  ...lockOnly(operator, 'tenants', 'status', 'true'),
  `grant select (id, email_ci, status), update (status) on users to ${operator}`,
  `create policy ${operator}_change on users to ${operator} ${only('true')}`,
  // Disabling an account gives its memberships new versions, so that other services learn of the change.
  `grant select (tenant_id, user_id, role, status, version), update (version) on memberships to ${operator}`,
  `create policy ${operator}_renumber on memberships to ${operator} ${only('true')}`,
];

/** What people do goes to the audit logs of tenants where they still are members. */
export const statusOfOwnMemberships = [`grant select (status) on memberships to ${self}`];

export const accountTables = [
  ...[tenants, users, credentials, memberships],
  ...[forLogin, forIssuing, forOneself, forAccounts, forCourier, forOperator],
].flat();
