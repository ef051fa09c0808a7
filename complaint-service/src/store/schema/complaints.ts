import type { ColumnType, Generated, GeneratedAlways, Insertable, Selectable } from 'kysely';
import type { ContactPreference } from '../../domain/complaints/described.ts';
import type { Status } from '../../domain/complaints/workflow.ts';

type ComplaintsTable = {
  tenant_id: string;
  id: string;
  title: string;
  description: string;
  category_id: string;
  team_id: string | null;
  status: Status;
  /** The index of the priority, from low to urgent. */
  priority: number;
  /** The member who complains. Null if an agent filed the complaint for a person without an account. */
  complainant_id: string | null;
  /** The member who filed the complaint: the complainant, or an agent for someone else. */
  created_by: string;
  reporter_name: string | null;
  reporter_email: string | null;
  reporter_phone: string | null;
  contact_preference: ContactPreference;
  latitude: number | null;
  longitude: number | null;
  address: string | null;
  assignee_id: string | null;
  duplicate_of: string | null;
  clock_started_at: Date;
  first_answer_due_at: Date | null;
  first_answered_at: Date | null;
  resolution_due_at: Date | null;
  resolved_at: Date | null;
  /** Whether work remains to be done. */
  active: GeneratedAlways<boolean>;
  /** When the next target is due. Null if no clock runs. */
  due_at: GeneratedAlways<Date | null>;
  /** When people and texts were removed from the complaint. It never changes afterwards. */
  erased_at: GeneratedAlways<Date | null>;
  /** Changes with every update. Must never repeat, because it is part of the entity tag. */
  revision: string;
  created_at: Date;
  updated_at: Date;
};

/** The words in each complaint. Unlike Postgres full-text search, this can use an index under row-level security. */
type TermsTable = { tenant_id: string; term: string; complaint_id: string };

type CommentsTable = {
  /** The order of a complaint's comments. */
  seq: GeneratedAlways<number>;
  tenant_id: string;
  id: string;
  complaint_id: string;
  author_id: string;
  author_role: string;
  body: string;
  /** Whether only agents and admins can see it. */
  internal: boolean;
  created_at: Date;
};

/** A changed value, as the API shows it. */
type Change<T> = Readonly<{ from: T; to: T }>;

/** A change to a complaint. The shape of `detail` depends on the action. */
export type HistoryEvent =
  | Readonly<{ action: 'filed'; detail: Readonly<Record<string, never>> }>
  | Readonly<{
      action: 'edited';
      /** Has no `changes` once texts were erased. */
      detail: Readonly<{ fields: readonly string[]; changes?: Readonly<Record<string, Change<unknown>>> }>;
    }>
  | Readonly<{
      action: 'assigned' | 'unassigned';
      detail: Change<string | null> &
        Readonly<{ status?: Change<Status>; team?: Change<string | null>; reason?: string }>;
    }>
  | Readonly<{
      action: 'moved';
      detail: Change<Status> & Readonly<{ reason?: string; duplicate_of?: string }>;
    }>;

type HistoryTable = {
  /** The order of a complaint's history. */
  seq: GeneratedAlways<number>;
  tenant_id: string;
  id: string;
  complaint_id: string;
  actor_id: string;
  actor_role: string;
  action: HistoryEvent['action'];
  detail: ColumnType<HistoryEvent['detail'], string, never>;
  created_at: Date;
};

type WatchersTable = { tenant_id: string; complaint_id: string; user_id: string; created_at: Date };

type IdempotencyKeysTable = {
  tenant_id: string;
  user_id: string;
  key: string;
  /** A hash of the request, to recognize a different request with the same key. */
  fingerprint: Buffer;
  complaint_id: Generated<string | null>;
  answer: ColumnType<unknown, string | undefined, string>;
  created_at: Date;
};

export type Complaint = Selectable<ComplaintsTable> & Readonly<{ category: string }>;
export type NewComplaint = Insertable<ComplaintsTable>;
export type ComplaintChanges = Partial<
  Omit<NewComplaint, 'tenant_id' | 'id' | 'complainant_id' | 'created_by' | 'created_at'>
>;
export type Comment = Selectable<CommentsTable>;
export type NewComment = Insertable<CommentsTable>;
export type HistoryEntry = Selectable<HistoryTable>;
export type ComplaintTables = {
  complaints: ComplaintsTable;
  terms: TermsTable;
  comments: CommentsTable;
  history: HistoryTable;
  watchers: WatchersTable;
  idempotency_keys: IdempotencyKeysTable;
};
