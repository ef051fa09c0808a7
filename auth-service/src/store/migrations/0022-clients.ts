import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentClient, currentTenant, rowSecurity } from './policies.ts';

const { clients, app, accounts, upkeep } = roles;

export const clientsMigration: Migration = {
  name: '0022-clients',
  statements: [
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
    // Assertions that were used, so that none is used twice (RFC 7523 section 3, jti).
    `create table client_assertions (
       hash bytea primary key check (length(hash) = 32),
       tenant_id text not null,
       client_id text not null,
       expires_at timestamptz not null)`,
    `create index client_assertions_by_expiry on client_assertions (expires_at)`,
    ...['clients', 'client_secrets', 'client_assertions'].flatMap(rowSecurity),

    // Authentication reads the one client that the request names, whatever its tenant.
    `grant select on clients, client_secrets to ${clients}`,
    `create policy ${clients}_read on clients for select to ${clients} using (id = ${currentClient})`,
    `create policy ${clients}_read on client_secrets for select to ${clients} using (client_id = ${currentClient})`,
    `grant insert on client_assertions to ${clients}`,
    `create policy ${clients}_use on client_assertions for insert to ${clients} with check (client_id = ${currentClient})`,

    // Administrators manage the clients of their tenant, and read no hash.
    `grant select, insert, update, delete on clients to ${accounts}`,
    `create policy ${accounts}_manage on clients to ${accounts}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,
    `grant select (id, tenant_id, client_id, created_at, expires_at, last_used_at), insert, update (expires_at), delete
       on client_secrets to ${accounts}`,
    `create policy ${accounts}_manage on client_secrets to ${accounts}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,

    // Issuing locks the client and its secret, and notes when they were used.
    `grant select on clients to ${app}`,
    `grant update (last_used_at) on clients to ${app}`,
    `create policy ${app}_use on clients to ${app}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,
    `grant select (id, tenant_id, client_id, expires_at, last_used_at), update (last_used_at) on client_secrets to ${app}`,
    `create policy ${app}_use on client_secrets to ${app}
       using (tenant_id = ${currentTenant}) with check (tenant_id = ${currentTenant})`,

    `alter table revocations add column client_id text`,
    `alter table revocations drop constraint revocations_kind_check, drop constraint revocations_check`,
    `alter table revocations
       add constraint revocations_kind_check check (kind in ('session', 'member', 'user', 'tenant', 'key', 'client')),
       add constraint revocations_check check (case kind
         when 'session' then sid is not null and user_id is not null and tenant_id is not null
         when 'member' then user_id is not null and tenant_id is not null
         when 'user' then user_id is not null
         when 'tenant' then tenant_id is not null
         when 'key' then kid is not null
         when 'client' then client_id is not null and tenant_id is not null end)`,
    `create index revocations_of_clients on revocations (tenant_id, client_id) where kind = 'client'`,
    `create policy ${app}_end_client on revocations for insert to ${app}
       with check (kind = 'client' and tenant_id = ${currentTenant})`,

    `grant select, delete on client_secrets, client_assertions to ${upkeep}`,
    `create policy ${upkeep}_expired on client_secrets to ${upkeep} using (expires_at < clock_timestamp())`,
    `create policy ${upkeep}_expired on client_assertions to ${upkeep} using (expires_at < clock_timestamp())`,
  ],
};
