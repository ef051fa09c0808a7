import type { Database } from '@countersign/database';
import { type Generated, type Insertable, type Selectable, sql, type Transaction } from 'kysely';
import type { Reader } from '../domain/access.ts';
import type { FileType } from '../domain/attachments/file-types.ts';
import type { ComplaintTables, EventTables, MailTables, WebhookTables } from './complaint-tables.ts';
import { appRole, membershipRole, readerRole } from './roles.ts';

type AttachmentsTable = {
  tenant_id: string;
  /** Also the name of the stored file. */
  id: string;
  complaint_id: string;
  comment_id: string | null;
  uploader_id: string;
  name: string;
  media_type: FileType['mediaType'];
  bytes: number;
  width: number | null;
  height: number | null;
  internal: boolean;
  created_at: Date;
};

type AttachmentSpaceTable = { tenant_id: string; bytes: number };

export type Attachment = Selectable<AttachmentsTable>;
export type NewAttachment = Insertable<AttachmentsTable>;
type AttachmentTables = { attachments: AttachmentsTable; attachment_space: AttachmentSpaceTable };

type SettingsTable = {
  tenant_id: string;
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
  name_key: string;
  description: Generated<string>;
  team_id: Generated<string | null>;
  first_answer_minutes: Generated<number | null>;
  resolution_minutes: Generated<number | null>;
  active: Generated<boolean>;
  revision: string;
  created_at: Date;
  updated_at: Date;
};

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
type CatalogueTables = {
  settings: SettingsTable;
  teams: TeamsTable;
  team_members: TeamMembersTable;
  categories: CategoriesTable;
  members: MembersTable;
};

type RetentionPoliciesTable = {
  tenant_id: string;
  closed_days: number | null;
  action: 'anonymise' | 'delete';
  texts: 'keep' | 'remove';
  updated_by: string;
  updated_at: Date;
};

type ErasuresTable = {
  tenant_id: string;
  id: string;
  kind: 'person' | 'retention';
  user_id: string | null;
  texts: 'keep' | 'remove' | null;
  requested_by: string | null;
  session_id: Generated<string | null>;
  request_id: Generated<string | null>;
  requested_at: Date;
  due_at: Date;
  cancelled_at: Generated<Date | null>;
  cancelled_by: Generated<string | null>;
  finished_at: Date | null;
  complaints: Generated<number>;
  comments: Generated<number>;
  attachments: Generated<number>;
};

export type RetentionPolicy = Selectable<RetentionPoliciesTable>;
export type Erasure = Selectable<ErasuresTable>;
export type ErasureTables = { retention_policies: RetentionPoliciesTable; erasures: ErasuresTable };

/** All tables. The response schemas in `routes/` describe the columns that they show. */
export type ComplaintsSchema = ComplaintTables &
  CatalogueTables &
  StatisticsTables &
  AttachmentTables &
  EventTables &
  WebhookTables &
  ErasureTables &
  MailTables;

type ByStatusTable = { tenant_id: string; category_id: string; status: string; complaints: number };
type ByAgeTable = { tenant_id: string; filed_on: string; complaints: number };
type TimesTable = {
  tenant_id: string;
  month: string;
  measure: 'first_answer' | 'resolution';
  category_id: string;
  bucket: number;
  complaints: number;
  seconds: number;
  with_target: number;
  on_time: number;
};

export type StatisticsTables = {
  statistics_by_status: ByStatusTable;
  statistics_by_age: ByAgeTable;
  statistics_times: TimesTable;
};

export type ComplaintsDatabase = Database<ComplaintsSchema>;
export type Trx = Transaction<ComplaintsSchema>;

/** The user from the identity that the gateway signed. */
export type ScopeUser = Readonly<{ tenantId: string; userId: string; role: string }>;

/** Runs a transaction for a user. Row-level security limits what it can see and change. */
export function asUser<T>(
  db: ComplaintsDatabase,
  { tenantId, userId, role: userRole }: ScopeUser,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: appRole, tenantId, userId, userRole }, work);
}

/** Runs a transaction that reads complaints for a user or an OAuth client. The latter sees no other table. */
export function asReader<T>(db: ComplaintsDatabase, reader: Reader, work: (trx: Trx) => Promise<T>): Promise<T> {
  if (reader.kind === 'user') return asUser(db, reader, work);
  return db.transaction({ role: readerRole, tenantId: reader.tenantId }, work);
}

/** Runs a transaction for a membership update from the auth-service, in the tenant that the update names. */
export function asMembershipUpdater<T>(
  db: ComplaintsDatabase,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: membershipRole, tenantId }, work);
}

/** Switches the rest of a transaction to another user in the tenant, for rows by several people. */
export async function becomeUser(trx: Trx, { userId, role }: Omit<ScopeUser, 'tenantId'>): Promise<void> {
  await sql`select set_config('app.user_id', ${userId}, true), set_config('app.role', ${role}, true)`.execute(trx);
}
