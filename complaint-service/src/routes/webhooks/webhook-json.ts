import { jsonOf } from '@countersign/service-kit';
import { z } from 'zod';
import { eventTypes } from '../../domain/events/event-types.ts';
import type { Webhook, WebhookDelivery } from '../../store/schema/deliveries.ts';
import { time } from '../fields.ts';

export const webhook = z
  .object({
    id: z.uuid(),
    url: z.string(),
    events: z.array(z.enum(eventTypes)),
    signature: z.enum(['ed25519', 'hmac-sha256']),
    keyid: z
      .string()
      .nullable()
      .describe('The id of the current secret. Null for `ed25519`, where the keys are published.'),
    previous_secret_until: time.nullable().describe('Until when deliveries are also signed with the previous secret.'),
    state: z.enum(['active', 'paused', 'ended']),
    ended_reason: z
      .enum(['gone', 'failing'])
      .nullable()
      .describe(
        '`gone` means that the receiver responded with 410, `failing` that it accepted nothing for three days.',
      ),
    failures: z.int().describe('Failed attempts since the last accepted delivery.'),
    failing_since: time.nullable(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Webhook' });

export const webhookWithSecret = webhook.extend({
  secret: z.string().optional().describe('The `hmac-sha256` secret in base64url. Shown only once.'),
});

export const delivery = z
  .object({
    id: z.uuid(),
    webhook_id: z.uuid(),
    type: z.string(),
    state: z.enum(['waiting', 'delivered', 'failed']),
    attempts: z.int(),
    due_at: time.nullable().describe('The time of the next attempt, if the delivery is waiting.'),
    attempted_at: time.nullable(),
    status: z.int().nullable().describe('The response status of the last attempt, if it got a response.'),
    failure: z
      .string()
      .nullable()
      .describe('Otherwise: `address_refused`, `timeout`, `connection_failed`, `tls_failed` or `bad_answer`.'),
    duration_ms: z.int().nullable(),
    payload: z.string().describe('The body, exactly as it is sent.'),
    created_at: time,
  })
  .meta({ id: 'WebhookDelivery' });

export const webhookJson = (row: Webhook) =>
  jsonOf(webhook, {
    ...row,
    events: row.events as (typeof eventTypes)[number][],
    keyid: row.signature === 'hmac-sha256' ? `${row.id}.${row.secret_version}` : null,
  });

export const deliveryJson = (row: WebhookDelivery) =>
  jsonOf(delivery, { ...row, due_at: row.state === 'waiting' ? row.due_at : null });
