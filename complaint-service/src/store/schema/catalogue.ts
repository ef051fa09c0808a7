import type { Generated, Insertable, Selectable } from 'kysely';

type SettingsTable = {
  tenant_id: string;
  /** Whether filing a complaint can add a category by using a new name. */
  open_catalogue: boolean;
  revision: string;
  updated_at: Date;
};

type TeamsTable = {
  tenant_id: string;
  id: string;
  name: string;
  name_key: string;
  revision: string;
  created_at: Date;
  updated_at: Date;
};

type TeamMembersTable = { tenant_id: string; team_id: string; user_id: string };

type CategoriesTable = {
  tenant_id: string;
  id: string;
  name: string;
  /** The folded name, which is unique in the tenant. */
  name_key: string;
  description: Generated<string>;
  team_id: Generated<string | null>;
  first_answer_minutes: Generated<number | null>;
  resolution_minutes: Generated<number | null>;
  /** New complaints can use only active categories. */
  active: Generated<boolean>;
  revision: string;
  created_at: Date;
  updated_at: Date;
};

/** A member of the tenant, from the latest membership update. */
type MembersTable = {
  tenant_id: string;
  user_id: string;
  role: string;
  status: 'active' | 'disabled';
  sequence: number;
};

export type Category = Selectable<CategoriesTable>;
export type NewCategory = Insertable<CategoriesTable>;
export type Team = Selectable<TeamsTable>;
export type Settings = Selectable<SettingsTable>;
export type MembershipUpdate = Selectable<MembersTable>;
export type CatalogueTables = {
  settings: SettingsTable;
  teams: TeamsTable;
  team_members: TeamMembersTable;
  categories: CategoriesTable;
  members: MembersTable;
};
