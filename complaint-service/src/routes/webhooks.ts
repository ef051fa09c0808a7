import { createRouter, docsPage } from '@countersign/process-kit';
import { jsonOf, namedObject, paginate } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { eventTypes } from '../domain/events/event-types.ts';
import type { WebhookKeys } from '../domain/webhooks/signature.ts';
import { found } from '../errors.ts';
import * as flows from '../flows/webhooks/webhooks.ts';
import { asUser } from '../store/schema.ts';
import type { Webhook, WebhookDelivery } from '../store/tables.ts';
import { findWebhook, listDeliveries, listWebhooks } from '../store/webhooks/webhooks.ts';
import { listOfItems, paginationQuery, route, time, uuidField } from './route.ts';

export const webhook = namedObject('Webhook', {
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
    .describe('`gone` means that the receiver responded with 410, `failing` that it accepted nothing for three days.'),
  failures: z.int().describe('Failed attempts since the last accepted delivery.'),
  failing_since: time.nullable(),
  created_at: time,
  updated_at: time,
});

const webhookWithSecret = webhook.extend({
  secret: z.string().optional().describe('The `hmac-sha256` secret in base64url. Shown only once.'),
});

export const delivery = namedObject('WebhookDelivery', {
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
});

const webhookJson = (row: Webhook) =>
  jsonOf(webhook, {
    ...row,
    events: row.events as (typeof eventTypes)[number][],
    keyid: row.signature === 'hmac-sha256' ? `${row.id}.${row.secret_version}` : null,
  });

const deliveryJson = (row: WebhookDelivery) =>
  jsonOf(delivery, { ...row, due_at: row.state === 'waiting' ? row.due_at : null });

const path = '/v1/webhooks';
const shared = { tag: 'Webhooks', callers: ['user'], roles: ['admin'] } as const;

const webhookPath = z.object({ webhookId: uuidField });

const url = z
  .string()
  .max(2_000)
  .meta({
    description: 'A normalized https URL with a public address.',
    examples: ['https://hooks.example/complaints'],
  });
const events = z
  .array(z.enum(eventTypes))
  .min(1)
  .max(eventTypes.length)
  .meta({ examples: [eventTypes.slice(0, 2)] });

export const webhookRoutes = [
  route(`POST ${path}`, {
    ...shared,
    operationId: 'addWebhook',
    summary: 'Add a webhook',
    description: `How to verify deliveries: ${docsPage('webhooks.md')} Internal notes are never sent.`,
    body: z.strictObject({ url, events, signature: z.enum(['ed25519', 'hmac-sha256']).default('ed25519') }),
    responses: { 201: webhookWithSecret },
    errors: ['too_many_webhooks'],
  }).handle(async ({ res, identity, body, reply }, parts) => {
    const added = await flows.addWebhook(parts, identity, body);
    res.set('cache-control', 'no-store');
    reply(201, { ...webhookJson(added.webhook), ...(added.secret !== undefined && { secret: added.secret }) });
  }),

  route(`GET ${path}`, {
    ...shared,
    operationId: 'listWebhooks',
    summary: "List the tenant's webhooks",
    responses: { 200: z.object({ items: z.array(webhook) }) },
  }).handle(async ({ identity, reply }, parts) => {
    const found = await asUser(parts.db, identity, listWebhooks);
    reply(200, { items: found.map(webhookJson) });
  }),

  route(`GET ${path}/:webhookId`, {
    ...shared,
    operationId: 'readWebhook',
    summary: 'Read a webhook',
    params: webhookPath,
    responses: { 200: webhook },
  }).handle(async ({ identity, params, reply }, parts) => {
    const row = found(await asUser(parts.db, identity, (trx) => findWebhook(trx, params.webhookId)));
    reply(200, webhookJson(row));
  }),

  route(`PATCH ${path}/:webhookId`, {
    ...shared,
    operationId: 'editWebhook',
    summary: 'Change, pause or resume a webhook',
    description: 'Events from a pause of up to three days are delivered when the webhook resumes.',
    params: webhookPath,
    body: z.strictObject({ url, events, state: z.enum(['active', 'paused']) }).partial(),
    responses: { 200: webhook },
  }).handle(async ({ identity, params, body, reply }, parts) => {
    reply(200, webhookJson(await flows.editWebhook(parts, identity, params.webhookId, body)));
  }),

  route(`DELETE ${path}/:webhookId`, {
    ...shared,
    operationId: 'removeWebhook',
    summary: 'Remove a webhook and its delivery log',
    params: webhookPath,
    responses: { 204: null },
  }).handle(async ({ identity, params, reply }, parts) => {
    await flows.removeWebhook(parts, identity, params.webhookId);
    reply(204);
  }),

  route(`POST ${path}/:webhookId/secret`, {
    ...shared,
    operationId: 'rotateWebhookSecret',
    summary: "Rotate a webhook's secret",
    description: 'For a day, deliveries are also signed with the previous secret.',
    params: webhookPath,
    responses: { 200: webhookWithSecret },
    errors: ['webhook_has_no_secret'],
  }).handle(async ({ res, identity, params, reply }, parts) => {
    const rotated = await flows.rotateSecret(parts, identity, params.webhookId);
    res.set('cache-control', 'no-store');
    reply(200, { ...webhookJson(rotated.webhook), ...(rotated.secret !== undefined && { secret: rotated.secret }) });
  }),

  route(`GET ${path}/:webhookId/deliveries`, {
    ...shared,
    operationId: 'listWebhookDeliveries',
    summary: "List a webhook's deliveries, newest first",
    description: 'Deliveries are kept for 30 days. Response bodies are not stored.',
    params: webhookPath,
    query: z.strictObject({
      state: z.enum(['waiting', 'delivered', 'failed']).optional(),
      ...paginationQuery.shape,
    }),
    responses: { 200: listOfItems(delivery) },
  }).handle(async ({ identity, params, query, reply }, parts) => {
    const { state, cursor, limit } = query;
    const listed = await asUser(parts.db, identity, async (trx) => {
      const { id } = found(await findWebhook(trx, params.webhookId));
      return listDeliveries(trx, id, { state, before: cursor, limit: limit + 1 });
    });
    const { rows, nextCursor } = paginate(listed, limit, ({ id }) => id);
    reply(200, { items: rows.map(deliveryJson), next_cursor: nextCursor });
  }),

  route(`POST ${path}/:webhookId/ping`, {
    ...shared,
    operationId: 'pingWebhook',
    summary: 'Send a `ping` as a test delivery',
    params: webhookPath,
    responses: { 202: delivery },
    errors: ['webhook_not_active'],
  }).handle(async ({ identity, params, reply }, parts) => {
    reply(202, deliveryJson(await flows.pingWebhook(parts, identity, params.webhookId)));
  }),

  route(`POST ${path}/:webhookId/deliveries/:deliveryId/redeliver`, {
    ...shared,
    operationId: 'redeliverWebhook',
    summary: 'Send a delivery again',
    params: webhookPath.extend({ deliveryId: uuidField }),
    responses: { 202: delivery },
    errors: ['webhook_not_active'],
  }).handle(async ({ identity, params, reply }, parts) => {
    const queued = await flows.redeliver(parts, identity, { webhook_id: params.webhookId, id: params.deliveryId });
    reply(202, deliveryJson(queued));
  }),
];

/**
 * Publishes the key that signs deliveries with `ed25519` (RFC 7517). Receivers fetch it again when they see an unknown
 * `keyid`.
 */
export function webhookKeyRoutes({ published }: WebhookKeys): Router {
  const router = createRouter();
  router.get('/.well-known/webhook-keys.json', (_req, res) => {
    res.set('cache-control', 'public, max-age=300').json({ keys: [published] });
  });
  return router;
}
