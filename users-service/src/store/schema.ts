import { type Database, type Migration, type OpenOptions, tenantTable } from '@countersign/database';
import { type Generated, type Selectable, sql, type Transaction } from 'kysely';

type MemberStatus = 'active' | 'inactive';

/** A person in one tenant. In each tenant the same person has a separate row, which only that tenant sees. */
type MembersTable = {
  tenant_id: string;
  user_id: string;
  role: string;
  status: Generated<MemberStatus>;
  email: string | null;
  display_name: string | null;
  /** The display name for sorting and searching. Empty if there is none. */
  folded_name: Generated<string>;
  phone: string | null;
  locale: string | null;
  time_zone: string | null;
  /** Changes with every update. Must never repeat, even between people, because it is the entity tag. */
  revision: string;
  /** The sequence number of the row's latest membership update, or 0. */
  sequence: Generated<number>;
  created_at: Date;
  updated_at: Date;
};

export type Member = Selectable<MembersTable>;
export type UsersSchema = { members: MembersTable };

/** The role for requests. It can change only the fields that people edit themselves. */
export const appRole = 'countersign_users_app';
/** The role that stores membership updates. It cannot change the fields that people edit themselves. */
export const membershipRole = 'countersign_users_news';
/** The role that copies a member's role from a token. It sees only members without a membership update. */
export const identityRole = 'countersign_users_identity';
const requestRoles: readonly string[] = [appRole, membershipRole, identityRole];
/** The role that connects and owns the tables. Row-level security applies to it too. */
const loginRole = 'countersign_users';

/** All migrations in order. Released statements never change. */
const migrations: readonly Migration[] = [
  {
    name: '0001-schema',
    statements: [
      // Ids come from tokens, and another issuer need not use UUIDs. The text is sorted by bytes on every platform.
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
      // Requests never change tenant_id, user_id, email, role or status.
      `grant select, insert, update (display_name, folded_name, phone, locale, time_zone, revision, updated_at)
         on members to ${appRole}`,
      `grant select, insert, update (role, status, email, sequence, revision, updated_at) on members to ${membershipRole}`,
      // A token has the role from when it was issued. An update may be newer, so a token never overwrites it.
      `grant select, update (role, revision, updated_at) on members to ${identityRole}`,
      `create policy before_news on members as restrictive to ${identityRole}
         using (sequence = 0) with check (sequence = 0)`,
    ],
  },
];

/** Our database settings, except the location. */
export const usersDatabase: Omit<OpenOptions, 'location' | 'name'> = {
  login: loginRole,
  roles: requestRoles,
  migrations,
};

export type Trx = Transaction<UsersSchema>;

/** Runs a transaction in one tenant, by default with the request role. All access to rows goes through here. */
export function inTenant<T>(
  db: Database<UsersSchema>,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
  role = appRole,
): Promise<T> {
  return db.transaction({ role, tenantId }, work);
}

/** Switches the transaction to another role. */
export async function actAs(trx: Trx, role: string): Promise<void> {
  await sql`select set_config('role', ${role}, true)`.execute(trx);
}
