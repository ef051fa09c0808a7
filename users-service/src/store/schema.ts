import { type Migration, type OpenOptions, tenantTable } from '@countersign/database';
import type { Selectable } from 'kysely';

type MemberStatus = 'active' | 'inactive';

/**
 * A person in one tenant. The same person has a separate row in each tenant, and each tenant sees only its own row.
 */
export type MembersTable = {
  tenant_id: string;
  user_id: string;
  role: string;
  status: MemberStatus;
  email: string | null;
  display_name: string | null;
  /** The display name as it is sorted and searched; '' without one. */
  folded_name: string;
  phone: string | null;
  locale: string | null;
  time_zone: string | null;
  /** Changes with every update. It is the entity tag, so it must never repeat, not even between people. */
  revision: string;
  /** The sequence number of the latest membership update that this row holds; 0 before the first. */
  sequence: number;
  created_at: Date;
  updated_at: Date;
};

export type Member = Selectable<MembersTable>;
export type UsersSchema = { members: MembersTable };

/** The role of every request. It may change only the fields that people edit themselves. */
export const appRole = 'countersign_users_app';
/** The role that stores membership updates. It cannot change the fields that people edit themselves. */
export const membershipRole = 'countersign_users_news';
/** The role that copies a member's role from a token; it sees only members without a membership update. */
export const identityRole = 'countersign_users_identity';
const requestRoles: readonly string[] = [appRole, membershipRole, identityRole];
/** The role that connects and owns the tables. Row-level security applies to it too. */
const loginRole = 'countersign_users';

/** All migrations in order. The statements of a released one never change. */
const migrations: readonly Migration[] = [
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
      // A token contains the role at the time it was issued. An update may be newer, so the token never overwrites it.
      `grant select, update (role, revision, updated_at) on members to ${identityRole}`,
      `create policy before_news on members as restrictive to ${identityRole}
         using (sequence = 0) with check (sequence = 0)`,
    ],
  },
];

/** The settings of our database, except its location. */
export const usersDatabase: Omit<OpenOptions, 'location' | 'name'> = {
  login: loginRole,
  roles: requestRoles,
  migrations,
};
