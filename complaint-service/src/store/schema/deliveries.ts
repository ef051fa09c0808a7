import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';
import type { EventDetail, EventType } from '../../domain/events/event-types.ts';
import type { MailKind } from '../../domain/mail/mail-text.ts';

type WebhooksTable = {
  tenant_id: string;
  id: string;
  url: string;
  events: string[];
  signature: 'ed25519' | 'hmac-sha256';
  /** The version from which the secret is derived. */
  secret_version: Generated<number>;
  /** Until when deliveries are also signed with the previous version. */
  previous_secret_until: Generated<Date | null>;
  state: 'active' | 'paused' | 'ended';
  /** The receiver responded with 410, or accepted nothing for days. */
  ended_reason: Generated<'gone' | 'failing' | null>;
  /** Failed attempts since the last accepted delivery. */
  failures: Generated<number>;
  failing_since: Generated<Date | null>;
  /** The earliest time it may be sent. */
  retry_at: Generated<Date | null>;
  /** The end of an instance's lease. */
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
  /** The body, exactly as it is sent. */
  payload: string;
  state: Generated<'waiting' | 'delivered' | 'failed'>;
  attempts: Generated<number>;
  due_at: Generated<Date>;
  /** When the delivery was created, or an admin sent it again. */
  queued_at: Generated<Date>;
  attempted_at: Generated<Date | null>;
  /** The HTTP status of the last attempt. */
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
  /** Whether only agents and admins can see it. */
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
  /** The member who gets this email. */
  user_id: string | null;
  /** The user who made the change, who gets no email about it. Only with `all`. */
  actor_id: string | null;
  /** The number of attempts, including the current one. */
  attempts: Generated<number>;
  /** The earliest time it may be sent. */
  due_at: Generated<Date>;
  /** The end of an instance's lease. */
  leased_until: Generated<Date | null>;
  /** Why the last attempt failed. */
  last_error: Generated<string | null>;
  queued_at: Generated<Date>;
};

export type QueuedMail = Selectable<MailOutboxTable>;
export type MailTables = { mail_outbox: MailOutboxTable };
