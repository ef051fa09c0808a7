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
  /** The member who complains. Null if an agent filed it for a person without an account. */
  complainant_id: string | null;
  /** The member who filed it: the complainant, or an agent for a caller. */
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
  /** When people and texts were removed from it. Nothing changes it afterwards. */
  erased_at: GeneratedAlways<Date | null>;
  /** Changes with every update. It is part of the entity tag, so it must never repeat. */
  revision: string;
  created_at: Date;
  updated_at: Date;
};

/** The words of each complaint. Unlike Postgres full-text search, this can use an index under row-level security. */
type TermsTable = { tenant_id: string; term: string; complaint_id: string };

type CommentsTable = {
  /** The order in which comments of one complaint are read. */
  seq: GeneratedAlways<number>;
  tenant_id: string;
  id: string;
  complaint_id: string;
  author_id: string;
  author_role: string;
  body: string;
  /** Visible to agents and admins only. */
  internal: boolean;
  created_at: Date;
};

/** A change of one value, in the form that the API shows. */
type Change<T> = Readonly<{ from: T; to: T }>;

/** One change of a complaint. The shape of `detail` depends on the action. */
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
  /** The order in which the history of one complaint is read. */
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
  /** A hash of the request, to distinguish a repeated request from a different one with the same key. */
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
