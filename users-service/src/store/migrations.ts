import { type Migration, tenantTable } from '@countersign/database';
import { appRole, identityRole, membershipRole } from './schema.ts';

/** All migrations in order. The statements of a released one never change. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-schema',
    statements: [
      // Ids come from tokens, whose issuer need not use UUIDs: text, in byte order on every platform.
      `create table members (
         tenant_id text not null check (tenant_id <> ''),
         user_id text collate "C" not null check (user_id <> ''),
         role text not null,
         status text not null default 'active' check (status in ('active', 'inactive')),
         email text,
         display_name text,
         folded_name text collate "C" not null default '',
         phone text,
         locale text,
         time_zone text,
         sequence bigint not null default 0,
         revision uuid not null,
         created_at timestamptz(3) not null,
         updated_at timestamptz(3) not null,
         primary key (tenant_id, user_id))`,
      `create index members_by_name on members (tenant_id, folded_name, user_id)`,
      ...tenantTable('members'),
      // Requests of this service never change tenant_id, user_id, email, role or status.
      `grant select, insert, update (display_name, folded_name, phone, locale, time_zone, revision, updated_at)
         on members to ${appRole}`,
      `grant select, insert, update (role, status, email, sequence, revision, updated_at) on members to ${membershipRole}`,
      // A token has the role of when it was issued. An update may be newer, so the token never overwrites it.
      `grant select, update (role, revision, updated_at) on members to ${identityRole}`,
      `create policy before_news on members as restrictive to ${identityRole}
         using (sequence = 0) with check (sequence = 0)`,
    ],
  },
];
