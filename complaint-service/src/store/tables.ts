import type { RowOf } from '@countersign/database';
import type { ColumnType, Generated, GeneratedAlways, Insertable } from 'kysely';
import type { FileType } from '../domain/attachments/file-types.ts';
import type { Editable } from '../domain/complaints/described.ts';
import type { Clocks } from '../domain/complaints/service-level.ts';
import type { Status } from '../domain/complaints/workflow.ts';
import type { EventDetail, EventType } from '../domain/events/event-types.ts';
import type { ChangeKind, MailKind } from '../domain/mail/recipients.ts';

/** All tables. The response schemas in `routes/` describe the columns that they show. */
export type ComplaintsSchema = {
  complaints: Editable &
    Clocks & {
      tenant_id: string;
      id: string;
      /** Such as `ACME-2026-0142`. The database chooses it. */
      number: GeneratedAlways<string>;
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
  terms: { tenant_id: string; term: string; complaint_id: string; personal: Generated<boolean> };
  organizations: { tenant_id: string; short_name: string; name: string };
  comments: {
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
  history: {
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
  watchers: { tenant_id: string; complaint_id: string; user_id: string; created_at: Date };
  idempotency_keys: {
    tenant_id: string;
    user_id: string;
    key: string;
    /** A hash of the request, to recognize a different request with the same key. */
    fingerprint: Buffer;
    complaint_id: Generated<string | null>;
    answer: ColumnType<unknown, string | undefined, string>;
    created_at: Date;
  };
  settings: {
    tenant_id: string;
    open_catalogue: boolean;
    revision: string;
    updated_at: Date;
  };
  teams: {
    tenant_id: string;
    id: string;
    name: string;
    name_key: string;
    revision: string;
    created_at: Date;
    updated_at: Date;
  };
  team_members: { tenant_id: string; team_id: string; user_id: string };
  categories: {
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
  members: {
    tenant_id: string;
    user_id: string;
    role: string;
    status: 'active' | 'disabled';
    sequence: number;
  };
  statistics_by_status: { tenant_id: string; category_id: string; status: string; complaints: number };
  statistics_by_age: { tenant_id: string; filed_on: string; complaints: number };
  statistics_times: {
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
  attachments: {
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
  attachment_space: { tenant_id: string; bytes: number };
  events: {
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
  webhooks: {
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
  webhook_deliveries: {
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
  retention_policies: {
    tenant_id: string;
    closed_days: number | null;
    action: 'anonymise' | 'delete';
    texts: 'keep' | 'remove';
    updated_by: string;
    updated_at: Date;
  };
  erasures: {
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
  mail_people: { tenant_id: string; person: string; refused: Generated<MailKind[]>; digest_at: Generated<Date | null> };
  mails: {
    tenant_id: string;
    id: string;
    kind: ChangeKind | MailKind;
    /** Null in a digest. */
    complaint_id: string | null;
    /** Null for a person without an account. */
    user_id: Generated<string | null>;
    /** The user who made the change. Null in an email. */
    actor_id: Generated<string | null>;
    /** The ids of history entries and comments, or of complaints in a digest. */
    changes: string[];
    /** Whether further changes belong to another email. */
    frozen: Generated<boolean>;
    /** The number of attempts, including the current one. */
    attempts: Generated<number>;
    due_at: Generated<Date>;
    leased_until: Generated<Date | null>;
    last_error: Generated<string | null>;
    queued_at: Generated<Date>;
  };
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

type Row<Table extends keyof ComplaintsSchema> = RowOf<ComplaintsSchema, Table>;
type NewRow<Table extends keyof ComplaintsSchema> = Insertable<ComplaintsSchema[Table]>;

export type Complaint = Row<'complaints'> & Readonly<{ category: string }>;
export type NewComplaint = NewRow<'complaints'>;
export type ComplaintChanges = Partial<
  Omit<NewComplaint, 'tenant_id' | 'id' | 'complainant_id' | 'created_by' | 'created_at'>
>;
export type Comment = Row<'comments'>;
export type HistoryEntry = Row<'history'>;
export type Category = Row<'categories'>;
export type NewCategory = NewRow<'categories'>;
export type Team = Row<'teams'>;
export type MembershipUpdate = Row<'members'>;
export type Attachment = Row<'attachments'>;
export type ComplaintEvent = Row<'events'>;
export type Webhook = Row<'webhooks'>;
export type WebhookDelivery = Row<'webhook_deliveries'>;
export type RetentionPolicy = Row<'retention_policies'>;
export type Erasure = Row<'erasures'>;
export type NewErasure = NewRow<'erasures'>;
export type QueuedMail = Row<'mails'>;
