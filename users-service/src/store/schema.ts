import type { Selectable } from 'kysely';

type MemberStatus = 'active' | 'inactive';

/** A person in one tenant. The same person in another tenant is another row, and neither sees the other. */
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
  /** New with every change. The entity tag, so it must never repeat, not even between people. */
  revision: string;
  /** The number of the auth-service's news that this row knows; 0 while it knows none. */
  sequence: number;
  created_at: Date;
  updated_at: Date;
};

export type Member = Selectable<MembersTable>;
export type UsersSchema = { members: MembersTable };

/** The role of every request. It may change what a person may change about themselves, and nothing else. */
export const appRole = 'countersign_users_app';
/** The role that writes down what the auth-service says of members; it may change nothing that a person says of themselves. */
export const newsRole = 'countersign_users_news';
/** The role that copies a member's role from a token; it sees only members of whom no news is known. */
export const identityRole = 'countersign_users_identity';
export const requestRoles: readonly string[] = [appRole, newsRole, identityRole];
/** The role that connects, owns the tables, and is held by row-level security all the same. */
export const loginRole = 'countersign_users';
