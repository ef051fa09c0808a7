import { z } from 'zod';
import { eventTypes } from '../../domain/events/event-types.ts';
import {
  addWebhook,
  editWebhook,
  getWebhook,
  removeWebhook,
  rotateSecret,
} from '../../flows/webhooks/manage-webhooks.ts';
import { asUser } from '../../store/scope.ts';
import { listWebhooks } from '../../store/webhooks/webhooks.ts';
import { uuidField } from '../fields.ts';
import { route } from '../route.ts';
import { webhook, webhookJson, webhookWithSecret } from './webhook-json.ts';

const path = '/v1/webhooks';
const shared = { tag: 'Webhooks', callers: ['user'], roles: ['admin'] } as const;

export const webhookPath = z.object({ webhookId: uuidField });

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
  route({
    ...shared,
    method: 'post',
    path,
    operationId: 'addWebhook',
    summary: 'Add a webhook',
    description: 'See docs/webhooks.md for how to verify deliveries. Internal notes are never sent.',
    body: z.strictObject({ url, events, signature: z.enum(['ed25519', 'hmac-sha256']).default('ed25519') }),
    responses: { 201: webhookWithSecret },
    errors: ['too_many_webhooks'],
  }).handle(async ({ res, identity, body, reply }, parts) => {
    const added = await addWebhook(parts, identity, body);
    res.set('cache-control', 'no-store');
    reply(201, { ...webhookJson(added.webhook), ...(added.secret !== undefined && { secret: added.secret }) });
  }),

  route({
    ...shared,
    method: 'get',
    path,
    operationId: 'listWebhooks',
    summary: "List the tenant's webhooks",
    responses: { 200: z.object({ items: z.array(webhook) }) },
    errors: [],
  }).handle(async ({ identity, reply }, parts) => {
    const found = await asUser(parts.db, identity, listWebhooks);
    reply(200, { items: found.map(webhookJson) });
  }),

  route({
    ...shared,
    method: 'get',
    path: `${path}/:webhookId`,
    operationId: 'readWebhook',
    summary: 'Read a webhook',
    params: webhookPath,
    responses: { 200: webhook },
    errors: [],
  }).handle(async ({ identity, params, reply }, parts) => {
    const found = await asUser(parts.db, identity, (trx) => getWebhook(trx, params.webhookId));
    reply(200, webhookJson(found));
  }),

  route({
    ...shared,
    method: 'patch',
    path: `${path}/:webhookId`,
    operationId: 'editWebhook',
    summary: 'Change, pause or resume a webhook',
    description: 'Events from a pause of up to three days are delivered when the webhook resumes.',
    params: webhookPath,
    body: z.strictObject({ url, events, state: z.enum(['active', 'paused']) }).partial(),
    responses: { 200: webhook },
    errors: [],
  }).handle(async ({ identity, params, body, reply }, parts) => {
    reply(200, webhookJson(await editWebhook(parts, identity, params.webhookId, body)));
  }),

  route({
    ...shared,
    method: 'delete',
    path: `${path}/:webhookId`,
    operationId: 'removeWebhook',
    summary: 'Remove a webhook and its delivery log',
    params: webhookPath,
    responses: { 204: null },
    errors: [],
  }).handle(async ({ identity, params, reply }, parts) => {
    await removeWebhook(parts, identity, params.webhookId);
    reply(204);
  }),

  route({
    ...shared,
    method: 'post',
    path: `${path}/:webhookId/secret`,
    operationId: 'rotateWebhookSecret',
    summary: "Rotate a webhook's secret",
    description: 'For a day, deliveries are also signed with the previous secret.',
    params: webhookPath,
    responses: { 200: webhookWithSecret },
    errors: ['webhook_has_no_secret'],
  }).handle(async ({ res, identity, params, reply }, parts) => {
    const rotated = await rotateSecret(parts, identity, params.webhookId);
    res.set('cache-control', 'no-store');
    reply(200, { ...webhookJson(rotated.webhook), ...(rotated.secret !== undefined && { secret: rotated.secret }) });
  }),
];
