import { z } from 'zod';
import { eventTypes } from '../../domain/events/event-types.ts';
import type { Webhook, WebhookDelivery } from '../../store/schema/webhooks.ts';
import { time } from '../fields.ts';

export const webhook = z
  .object({
    id: z.uuid(),
    url: z.string(),
    events: z.array(z.enum(eventTypes)),
    signature: z.enum(['ed25519', 'hmac-sha256']),
    keyid: z.string().nullable().describe('Of the current secret; null with `ed25519`, whose keys are published.'),
    previous_secret_until: time.nullable().describe('Until then, deliveries are signed by the previous secret too.'),
    state: z.enum(['active', 'paused', 'ended']),
    ended_reason: z
      .enum(['gone', 'failing'])
      .nullable()
      .describe('`gone`: the receiver answered 410. `failing`: it took nothing for three days.'),
    failures: z.int().describe('Failed attempts since the last delivery that was taken.'),
    failing_since: time.nullable(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Webhook' });

export const webhookWithSecret = webhook.extend({
  secret: z.string().optional().describe('In base64url, with `hmac-sha256`. It is shown this once.'),
});

export const delivery = z
  .object({
    id: z.uuid(),
    webhook_id: z.uuid(),
    type: z.string(),
    state: z.enum(['waiting', 'delivered', 'failed']),
    attempts: z.int(),
    due_at: time.nullable().describe('The next attempt, while it waits.'),
    attempted_at: time.nullable(),
    status: z.int().nullable().describe('Of the last attempt, if it was answered.'),
    failure: z
      .string()
      .nullable()
      .describe('Otherwise: `address_refused`, `timeout`, `connection_failed`, `tls_failed` or `bad_answer`.'),
    duration_ms: z.int().nullable(),
    payload: z.string().describe('The body, exactly as it is sent.'),
    created_at: time,
  })
  .meta({ id: 'WebhookDelivery' });

const iso = (at: Date | null) => at?.toISOString() ?? null;

export function webhookJson(row: Webhook): z.output<typeof webhook> {
  return {
    id: row.id,
    url: row.url,
    events: row.events as (typeof eventTypes)[number][],
    signature: row.signature,
    keyid: row.signature === 'hmac-sha256' ? `${row.id}.${row.secret_version}` : null,
    previous_secret_until: iso(row.previous_secret_until),
    state: row.state,
    ended_reason: row.ended_reason,
    failures: row.failures,
    failing_since: iso(row.failing_since),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

export function deliveryJson(row: WebhookDelivery): z.output<typeof delivery> {
  return {
    id: row.id,
    webhook_id: row.webhook_id,
    type: row.type,
    state: row.state,
    attempts: row.attempts,
    due_at: row.state === 'waiting' ? iso(row.due_at) : null,
    attempted_at: iso(row.attempted_at),
    status: row.status,
    failure: row.failure,
    duration_ms: row.duration_ms,
    payload: row.payload,
    created_at: row.created_at.toISOString(),
  };
}
