import { currentTenant, currentUser, rowSecurity } from '@countersign/database';
import { roles } from '../../transaction.ts';
import { only } from '../policies.ts';

const { app, self, factors, keys, operator, feed, upkeep } = roles;

const signingKeys = [
  `create table signing_keys (
     kid text primary key,
     alg text not null,
     public_jwk text not null,
     private_enc bytea not null,
     kek_id text not null,
     publish_at timestamptz not null,
     activate_at timestamptz not null,
     retire_at timestamptz not null,
     remove_at timestamptz not null,
     revoked_at timestamptz,
     check (publish_at <= activate_at and activate_at < retire_at and retire_at < remove_at))`,
  ...rowSecurity('signing_keys'),
  `grant select, insert, update (activate_at, retire_at, remove_at, revoked_at, private_enc, kek_id)
     on signing_keys to ${keys}`,
  `create policy ${keys}_all on signing_keys to ${keys} ${only('true')}`,
  // Deletes keys that no longer verify tokens, because an old master key could still decrypt them.
  `grant delete on signing_keys to ${upkeep}`,
  `create policy ${upkeep}_removed on signing_keys for delete to ${upkeep} using (remove_at < clock_timestamp())`,
];

const revocations = [
  `create table revocations (
     seq bigint generated always as identity primary key,
     kind text not null check (kind in ('session', 'member', 'user', 'tenant', 'key', 'client')),
     sid text,
     user_id text,
     tenant_id text,
     kid text,
     not_before timestamptz not null,
     expires_at timestamptz not null,
     client_id text,
     check (case kind
       when 'session' then sid is not null and user_id is not null and tenant_id is not null
       when 'member' then user_id is not null and tenant_id is not null
       when 'user' then user_id is not null
       when 'tenant' then tenant_id is not null
       when 'key' then kid is not null
       when 'client' then client_id is not null and tenant_id is not null end))`,
  `create index revocations_by_expiry on revocations (expires_at)`,
  // Issuing a token searches for revocations that concern its holder, but not for ended sessions. A tenant can have
  // 100,000 of those in the 15 minutes that they are kept, so no index includes them.
  `create index revocations_of_holders on revocations (tenant_id, kind, user_id) where kind in ('member', 'tenant')`,
  `create index revocations_of_users on revocations (user_id) where kind = 'user'`,
  `create index revocations_of_clients on revocations (tenant_id, client_id) where kind = 'client'`,
  ...rowSecurity('revocations'),

  `grant select, insert on revocations to ${app}, ${keys}, ${operator}`,
  // A new token must not be older than a revocation that concerns its holder.
  `create policy ${app}_read on revocations for select to ${app}
     using (tenant_id = ${currentTenant} or user_id = ${currentUser})`,
  `create policy ${app}_write on revocations for insert to ${app}
     with check (kind in ('session', 'member', 'tenant') and tenant_id = ${currentTenant})`,
  `create policy ${app}_end_client on revocations for insert to ${app}
     with check (kind = 'client' and tenant_id = ${currentTenant})`,
  `grant insert on revocations to ${self}`,
  `create policy ${self}_write on revocations for insert to ${self}
     with check (kind in ('session', 'user') and user_id = ${currentUser})`,
  `create policy ${keys}_read on revocations for select to ${keys} using (kind = 'key')`,
  `create policy ${keys}_write on revocations for insert to ${keys} with check (kind = 'key')`,
  `create policy ${operator}_read on revocations for select to ${operator} using (true)`,
  `create policy ${operator}_write on revocations for insert to ${operator}
     with check (kind in ('session', 'user', 'tenant'))`,
  `grant select on revocations to ${feed}`,
  `create policy ${feed}_read on revocations for select to ${feed} using (true)`,
  `grant select, delete on revocations to ${upkeep}`,
  `create policy ${upkeep}_see on revocations for select to ${upkeep} using (true)`,
  `create policy ${upkeep}_expired on revocations for delete to ${upkeep} using (expires_at < clock_timestamp())`,
];

// A cursor is valid only in the log that created it. A restore changes this id.
const revocationLog = [
  `create table revocation_log (id text not null, one boolean primary key default true check (one))`,
  `insert into revocation_log (id) values (gen_random_uuid()::text)`,
  ...rowSecurity('revocation_log'),
  `grant select on revocation_log to ${feed}`,
  `create policy ${feed}_read on revocation_log for select to ${feed} using (true)`,
  `grant select, update (id) on revocation_log to ${operator}`,
  `create policy ${operator}_renew on revocation_log to ${operator} ${only('true')}`,
];

// Entries without a tenant have their own chain.
const chains: readonly (readonly [role: string, visible: string])[] = [
  [app, `tenant_id = ${currentTenant}`],
  [self, `tenant_id = ${currentTenant}`],
  [factors, `tenant_id = ${currentTenant}`],
  [keys, `tenant_id = 'operator'`],
  [operator, 'true'],
];

const auditLog = [
  `create table audit_log (
     tenant_id text not null,
     seq integer not null,
     at timestamptz not null,
     action text not null,
     user_id text,
     session_id text,
     request_id text not null,
     detail text not null,
     prev_hash bytea not null,
     hash bytea not null,
     primary key (tenant_id, seq))`,
  ...rowSecurity('audit_log'),
  // No role can update or delete entries. Writers read the chain's head.
  ...chains.flatMap(([role, visible]) => [
    `grant select, insert on audit_log to ${role}`,
    `create policy ${role}_read on audit_log for select to ${role} using (${visible})`,
    `create policy ${role}_append on audit_log for insert to ${role} with check (${visible})`,
  ]),
];

export const keyAndLogTables = [...signingKeys, ...revocations, ...revocationLog, ...auditLog];
