import { paginate } from '@countersign/service-kit';
import { z } from 'zod';
import { getWebhook, pingWebhook, redeliver } from '../../flows/webhooks/manage-webhooks.ts';
import { asUser } from '../../store/scope.ts';
import { listDeliveries } from '../../store/webhooks/webhooks.ts';
import { listOfItems, paginationQuery, uuidField } from '../fields.ts';
import { route } from '../route.ts';
import { delivery, deliveryJson } from './webhook-json.ts';
import { webhookPath } from './webhooks.ts';

const path = '/v1/webhooks/:webhookId';
const shared = { tag: 'Webhooks', callers: ['user'], roles: ['admin'] } as const;

export const deliveryRoutes = [
  route({
    ...shared,
    method: 'get',
    path: `${path}/deliveries`,
    operationId: 'listWebhookDeliveries',
    summary: "List a webhook's deliveries, newest first",
    description: 'Deliveries are kept for 30 days. Response bodies are not stored.',
    params: webhookPath,
    query: z.strictObject({
      state: z.enum(['waiting', 'delivered', 'failed']).optional(),
      ...paginationQuery.shape,
    }),
    responses: { 200: listOfItems(delivery) },
    errors: [],
  }).handle(async ({ identity, params, query, reply }, parts) => {
    const { state, cursor, limit } = query;
    const found = await asUser(parts.db, identity, async (trx) => {
      const { id } = await getWebhook(trx, params.webhookId);
      return listDeliveries(trx, id, { state, before: cursor, limit: limit + 1 });
    });
    const { rows, nextCursor } = paginate(found, limit, ({ id }) => id);
    reply(200, { items: rows.map(deliveryJson), next_cursor: nextCursor });
  }),

  route({
    ...shared,
    method: 'post',
    path: `${path}/ping`,
    operationId: 'pingWebhook',
    summary: 'Send a `ping` as a test delivery',
    params: webhookPath,
    responses: { 202: delivery },
    errors: ['webhook_not_active'],
  }).handle(async ({ identity, params, reply }, parts) => {
    reply(202, deliveryJson(await pingWebhook(parts, identity, params.webhookId)));
  }),

  route({
    ...shared,
    method: 'post',
    path: `${path}/deliveries/:deliveryId/redeliver`,
    operationId: 'redeliverWebhook',
    summary: 'Send a delivery again',
    params: webhookPath.extend({ deliveryId: uuidField }),
    responses: { 202: delivery },
    errors: ['webhook_not_active'],
  }).handle(async ({ identity, params, reply }, parts) => {
    const queued = await redeliver(parts, identity, { webhookId: params.webhookId, id: params.deliveryId });
    reply(202, deliveryJson(queued));
  }),
];
