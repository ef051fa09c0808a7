import type { Migration } from '@countersign/database';
import { appRole, identityRole, newsRole } from './schema.ts';

// Ids come from tokens, whose issuer need not use UUIDs: text, in byte order on every platform.
const members = `
  create table members (
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
    revision uuid not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    primary key (tenant_id, user_id)
  )`;

export const migrations: readonly Migration[] = [
  {
    name: '0001-members',
    statements: [
      members,
      `create index members_by_name on members (tenant_id, folded_name, user_id)`,
      `alter table members enable row level security`,
      `alter table members force row level security`,
      `create policy tenant on members
         using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
         with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''))`,
      `grant select, insert on members to ${appRole}`,
      // Requests of this service never change tenant_id, user_id, email or status.
      `grant update (role, display_name, folded_name, phone, locale, time_zone, revision, updated_at)
         on members to ${appRole}`,
    ],
  },
  {
    name: '0002-membership-news',
    statements: [
      `alter table members add column sequence bigint not null default 0`,
      `grant select, insert, update (role, status, email, sequence, revision, updated_at) on members to ${newsRole}`,
    ],
  },
  {
    name: '0003-news-outrank-tokens',
    statements: [
      `revoke update (role) on members from ${appRole}`,
      `grant select, update (role, revision, updated_at) on members to ${identityRole}`,
      // A token names the role of when it was issued, until it expires. News may be newer, so it never overwrites them.
      `create policy before_news on members as restrictive to ${identityRole}
         using (sequence = 0) with check (sequence = 0)`,
    ],
  },
];
