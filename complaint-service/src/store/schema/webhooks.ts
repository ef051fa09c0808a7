import type { Generated, Insertable, Selectable } from 'kysely';

type WebhooksTable = {
  tenant_id: string;
  id: string;
  url: string;
  events: string[];
  signature: 'ed25519' | 'hmac-sha256';
  /** The secret is derived from it. */
  secret_version: Generated<number>;
  /** The end of the time in which the previous version signs too. */
  previous_secret_until: Generated<Date | null>;
  state: 'active' | 'paused' | 'ended';
  /** The receiver answered 410, or accepted nothing for days. */
  ended_reason: Generated<'gone' | 'failing' | null>;
  /** Failed attempts since the last successful one. */
  failures: Generated<number>;
  failing_since: Generated<Date | null>;
  /** The earliest time at which it is sent. */
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
  /** When it was created, or sent again by an admin. */
  queued_at: Generated<Date>;
  /** Of the last attempt. */
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
