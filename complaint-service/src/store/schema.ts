import type { ColumnType, GeneratedAlways, Insertable, Selectable } from 'kysely';
import type { WordingEdit } from '../domain/editing.ts';
import type { Status } from '../domain/workflow.ts';

export type ComplaintsTable = {
  tenant_id: string;
  id: string;
  title: string;
  description: string;
  category: string;
  status: Status;
  /** The user who filed it. */
  complainant_id: string;
  assignee_id: string | null;
  /** Changes with every update. It is the entity tag, so it must never repeat. */
  revision: string;
  created_at: Date;
  updated_at: Date;
};

/** The words of each complaint. This full-text search can use an index under row-level security. */
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

/** One change of a complaint. The shape of `detail` depends on the action. */
export type HistoryEvent =
  | Readonly<{ action: 'filed'; detail: Readonly<Record<string, never>> }>
  | Readonly<{ action: 'edited'; detail: WordingEdit }>
  | Readonly<{ action: 'assigned'; detail: Readonly<{ from: string | null; to: string }> }>
  | Readonly<{ action: 'moved'; detail: Readonly<{ from: Status; to: Status; reason?: string }> }>;

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

export type Complaint = Selectable<ComplaintsTable>;
export type Comment = Selectable<CommentsTable>;
export type NewComment = Insertable<CommentsTable>;
export type HistoryEntry = Selectable<HistoryTable>;
export type ComplaintsSchema = {
  complaints: ComplaintsTable;
  terms: TermsTable;
  comments: CommentsTable;
  history: HistoryTable;
};

/** The role of every request. It can add comments and history entries, and change neither. */
export const appRole = 'countersign_complaints_app';
/** The role that connects and owns the tables. Row-level security applies to it too. */
export const loginRole = 'countersign_complaints';
