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
export const requestRoles: readonly string[] = [appRole, membershipRole, identityRole];
/** The role that connects and owns the tables. Row-level security applies to it too. */
export const loginRole = 'countersign_users';
