import type { ColumnType, Generated, GeneratedAlways, Insertable, Selectable } from 'kysely';
import type { Editable } from '../domain/complaints/described.ts';
import type { Clocks } from '../domain/complaints/service-level.ts';
import type { Status } from '../domain/complaints/workflow.ts';
import type { EventDetail, EventType } from '../domain/events/event-types.ts';
import type { MailKind } from '../domain/mail.ts';

type ComplaintsTable = Editable &
  Clocks & {
    tenant_id: string;
    id: string;
    team_id: string | null;
    status: Status;
    complainant_id: string | null;
    /** The member who filed the complaint: the complainant, or an agent for someone else. */
    created_by: string;
    reporter_name: string | null;
    reporter_email: string | null;
    reporter_phone: string | null;
    assignee_id: string | null;
    duplicate_of: string | null;
    active: GeneratedAlways<boolean>;
    due_at: GeneratedAlways<Date | null>;
    /** When people and texts were removed from the complaint. It never changes afterwards. */
    erased_at: GeneratedAlways<Date | null>;
    /** Changes with every update. Must never repeat, because it is part of the entity tag. */
    revision: string;
    updated_at: Date;
  };

/** The words in each complaint. Unlike Postgres full-text search, this can use an index under row-level security. */
type TermsTable = { tenant_id: string; term: string; complaint_id: string };

type CommentsTable = {
  seq: GeneratedAlways<number>;
  tenant_id: string;
  id: string;
  complaint_id: string;
  author_id: string;
  author_role: string;
  body: string;
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

type WebhooksTable = {
  tenant_id: string;
  id: string;
  url: string;
  events: string[];
  signature: 'ed25519' | 'hmac-sha256';
  /** The version from which the secret is derived. */
  secret_version: Generated<number>;
  previous_secret_until: Generated<Date | null>;
  state: 'active' | 'paused' | 'ended';
  ended_reason: Generated<'gone' | 'failing' | null>;
  failures: Generated<number>;
  failing_since: Generated<Date | null>;
  retry_at: Generated<Date | null>;
  leased_until: Generated<Date | null>;
  created_by: string;
  created_at: Date;
  updated_at: Date;
};

type WebhookDeliveriesTable = {
  tenant_id: string;
  seq: Generated<number>;
  id: string;
  webhook_id: string;
  /** The type of the event, or `ping`. */
  type: string;
  payload: string;
  state: Generated<'waiting' | 'delivered' | 'failed'>;
  attempts: Generated<number>;
  due_at: Generated<Date>;
  /** When the delivery was created, or an admin sent it again. */
  queued_at: Generated<Date>;
  attempted_at: Generated<Date | null>;
  status: Generated<number | null>;
  failure: Generated<string | null>;
  duration_ms: Generated<number | null>;
  created_at: Generated<Date>;
};

export type Webhook = Selectable<WebhooksTable>;
export type NewWebhook = Insertable<WebhooksTable>;
export type WebhookDelivery = Selectable<WebhookDeliveriesTable>;
export type WebhookTables = { webhooks: WebhooksTable; webhook_deliveries: WebhookDeliveriesTable };

type EventsTable = {
  tenant_id: string;
  /** The order of commits within a tenant. */
  seq: Generated<number>;
  id: string;
  complaint_id: string;
  type: EventType;
  internal: boolean;
  actor_id: string;
  actor_role: string;
  detail: ColumnType<EventDetail, string, never>;
  created_at: Date;
};

export type ComplaintEvent = Selectable<EventsTable>;
export type NewEvent = Omit<Insertable<EventsTable>, 'seq' | 'detail'> & Readonly<{ detail: EventDetail }>;
export type EventTables = { events: EventsTable };

type MailOutboxTable = {
  tenant_id: string;
  id: string;
  complaint_id: string;
  kind: MailKind;
  /** `all` until the recipients are known. `reporter` is a person without an account. */
  recipient: 'all' | 'member' | 'reporter';
  user_id: string | null;
  /** The user who made the change, who gets no email about it. Only with `all`. */
  actor_id: string | null;
  /** The number of attempts, including the current one. */
  attempts: Generated<number>;
  due_at: Generated<Date>;
  leased_until: Generated<Date | null>;
  last_error: Generated<string | null>;
  queued_at: Generated<Date>;
};

export type QueuedMail = Selectable<MailOutboxTable>;
export type MailTables = { mail_outbox: MailOutboxTable };
