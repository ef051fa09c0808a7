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
  /** Who filed it. */
  complainant_id: string;
  assignee_id: string | null;
  /** New with every change. The entity tag, so it must never repeat. */
  revision: string;
  created_at: Date;
  updated_at: Date;
};

/** Which complaints hold which word: full-text search that an index still serves under row-level security. */
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
  /** Among agents and admins only. */
  internal: boolean;
  created_at: Date;
};

/** What happened to a complaint. `detail` belongs to the action. */
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

/** The role of every request: comments and history can be added to, never changed. */
export const appRole = 'countersign_complaints_app';
/** The role that connects, owns the tables, and is held by row-level security all the same. */
export const loginRole = 'countersign_complaints';
