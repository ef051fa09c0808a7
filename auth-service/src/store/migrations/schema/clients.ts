import { currentTenant, currentUser, rowSecurity } from '@countersign/database';
import { roles } from '../../transaction.ts';
import { currentClient, only } from '../policies.ts';

const { clients, app, self, accounts, operator, upkeep } = roles;
const ofTenant = only(`tenant_id = ${currentTenant}`);

const tables = [
  `create table clients (
     id text primary key check (id ~ '^client-[0-9a-f-]{36}$'),
     tenant_id text not null references tenants,
     name text not null,
     scopes text[] not null,
     grant_types text[] not null,
     jwks text,
     status text not null default 'active' check (status in ('active', 'disabled')),
     created_by text,
     created_at timestamptz not null default clock_timestamp(),
     last_used_at timestamptz,
     unique (tenant_id, id))`,
  `create table client_secrets (
     id text primary key,
     tenant_id text not null,
     client_id text not null,
     hash bytea not null check (length(hash) = 32),
     created_at timestamptz not null default clock_timestamp(),
     expires_at timestamptz,
     last_used_at timestamptz,
     foreign key (tenant_id, client_id) references clients (tenant_id, id) on delete cascade)`,
  `create index client_secrets_by_client on client_secrets (tenant_id, client_id)`,
  `create index client_secrets_by_expiry on client_secrets (expires_at) where expires_at is not null`,
  // Used assertions, so that an assertion cannot be used twice (RFC 7523 section 3, jti).
  `create table client_assertions (
     hash bytea primary key check (length(hash) = 32),
     tenant_id text not null,
     client_id text not null,
     expires_at timestamptz not null)`,
  `create index client_assertions_by_expiry on client_assertions (expires_at)`,
  // A person's consent that an OAuth client may act for them. The id becomes the `sid` in tokens issued for it.
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
  ...['clients', 'client_secrets', 'client_assertions', 'delegations'].flatMap(rowSecurity),
];

// Finds the OAuth client that the request names, in any tenant.
const forAuthentication = [
  `grant select on clients, client_secrets to ${clients}`,
  `create policy ${clients}_read on clients for select to ${clients} using (id = ${currentClient})`,
  `create policy ${clients}_read on client_secrets for select to ${clients} using (client_id = ${currentClient})`,
  `grant insert on client_assertions to ${clients}`,
  `create policy ${clients}_use on client_assertions for insert to ${clients} with check (client_id = ${currentClient})`,
];

// Administrators manage the OAuth clients in their tenant, but cannot read the hashes.
const forAdministrators = [
  `grant select, insert, update, delete on clients to ${accounts}`,
  `create policy ${accounts}_manage on clients to ${accounts} ${ofTenant}`,
  `grant select (id, tenant_id, client_id, created_at, expires_at, last_used_at), insert, update (expires_at), delete
     on client_secrets to ${accounts}`,
  `create policy ${accounts}_manage on client_secrets to ${accounts} ${ofTenant}`,
];

// Token requests lock the OAuth client and its secret, and record their use.
const forIssuing = [
  `grant select, update (last_used_at) on clients to ${app}`,
  `create policy ${app}_use on clients to ${app} ${ofTenant}`,
  `grant select (id, tenant_id, client_id, expires_at, last_used_at), update (last_used_at) on client_secrets to ${app}`,
  `create policy ${app}_use on client_secrets to ${app} ${ofTenant}`,
  `grant select, insert, update (last_used_at) on delegations to ${app}`,
  `create policy ${app}_use on delegations to ${app} ${ofTenant}`,
  // Besides the tenant policy, people can consent only for themselves.
  `create policy ${app}_own on delegations as restrictive for insert to ${app} with check (user_id = ${currentUser})`,
];

// People see and withdraw their own delegations, and see the OAuth clients' names.
const forOneself = [
  `grant select (id, tenant_id, user_id, client_id, session_id, scopes, created_at, expires_at, last_used_at, revoked_at),
     update (revoked_at) on delegations to ${self}`,
  `create policy ${self}_own on delegations for select to ${self} using (user_id = ${currentUser})`,
  `create policy ${self}_withdraw on delegations for update to ${self}
     using (user_id = ${currentUser}) with check (user_id = ${currentUser} and revoked_at is not null)`,
  `grant select (id, name) on clients to ${self}`,
  `create policy ${self}_read on clients for select to ${self} using (exists (
     select from delegations d where d.client_id = clients.id and d.user_id = ${currentUser}))`,
];

const forOperatorAndUpkeep = [
  // Ending a person's sessions ends their delegations.
  `grant select (id, tenant_id, user_id, session_id, expires_at, revoked_at) on delegations to ${operator}`,
  `create policy ${operator}_see on delegations for select to ${operator} using (true)`,
  ...['client_secrets', 'client_assertions', 'delegations'].flatMap((table) => [
    `grant select, delete on ${table} to ${upkeep}`,
    `create policy ${upkeep}_expired on ${table} to ${upkeep} using (expires_at < clock_timestamp())`,
  ]),
];

/** OAuth clients, their secrets and used assertions, and delegations to them. */
export const clientTables = [
  ...[tables, forAuthentication, forAdministrators, forIssuing, forOneself, forOperatorAndUpkeep],
].flat();
