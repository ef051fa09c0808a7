import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, currentUser, rowSecurity } from './policies.ts';

const { app, self, feed, upkeep } = roles;

export const revocationsMigration: Migration = {
  name: '0005-revocations',
  statements: [
    `create table revocations (
       seq bigint generated always as identity primary key,
       kind text not null check (kind in ('session', 'member', 'user', 'tenant', 'key')),
       sid text,
       user_id text,
       tenant_id text,
       kid text,
       not_before timestamptz not null,
       expires_at timestamptz not null,
       check (case kind
         when 'session' then sid is not null and user_id is not null and tenant_id is not null
         when 'member' then user_id is not null and tenant_id is not null
         when 'user' then user_id is not null
         when 'tenant' then tenant_id is not null
         when 'key' then kid is not null end))`,
    `create index revocations_by_user on revocations (user_id)`,
    `create index revocations_by_tenant on revocations (tenant_id)`,
    `create index revocations_by_expiry on revocations (expires_at)`,
    // A cursor is valid only in the log that issued it. A restore changes this id.
    `create table revocation_log (id text not null, one boolean primary key default true check (one))`,
    `insert into revocation_log (id) values (gen_random_uuid()::text)`,
    ...['revocations', 'revocation_log'].flatMap(rowSecurity),

    `grant select, insert on revocations to ${app}`,
    // What concerns the caller is read when issuing: a new token must not be older than a revocation of its holder.
    `create policy ${app}_read on revocations for select to ${app}
       using (tenant_id = ${currentTenant} or user_id = ${currentUser})`,
    `create policy ${app}_write on revocations for insert to ${app}
       with check (kind in ('session', 'member', 'tenant') and tenant_id = ${currentTenant})`,
    `grant insert on revocations to ${self}`,
    `create policy ${self}_write on revocations for insert to ${self}
       with check (kind in ('session', 'user') and user_id = ${currentUser})`,

    `grant select on revocations, revocation_log to ${feed}`,
    `create policy ${feed}_read on revocations for select to ${feed} using (true)`,
    `create policy ${feed}_read on revocation_log for select to ${feed} using (true)`,

    `grant select, delete on revocations to ${upkeep}`,
    `create policy ${upkeep}_see on revocations for select to ${upkeep} using (true)`,
    `create policy ${upkeep}_expired on revocations for delete to ${upkeep} using (expires_at < clock_timestamp())`,
  ],
};
