import { countRows, notify } from '@countersign/database';
import { sql, type UpdateObject } from 'kysely';
import type { NewWebhook, Webhook, WebhookDelivery } from '../complaint-tables.ts';
import type { ComplaintsSchema, Trx } from '../schema.ts';

/** The channel that wakes the webhook couriers in all instances. */
export const webhooksChannel = 'countersign_complaint_webhooks';

export async function countWebhooks(trx: Trx): Promise<number> {
  // Of two admins who add the last allowed webhook at the same time, only one can succeed.
  await sql`select pg_advisory_xact_lock(hashtextextended('webhooks ' || current_setting('app.tenant_id'), 0))`.execute(
    trx,
  );
  return (await trx.selectFrom('webhooks').select(countRows).executeTakeFirstOrThrow()).count;
}

export function insertWebhook(trx: Trx, webhook: NewWebhook): Promise<Webhook> {
  return trx.insertInto('webhooks').values(webhook).returningAll().executeTakeFirstOrThrow();
}

export function listWebhooks(trx: Trx): Promise<Webhook[]> {
  return trx.selectFrom('webhooks').selectAll().orderBy('created_at').orderBy('id').execute();
}

export function findWebhook(trx: Trx, id: string): Promise<Webhook | undefined> {
  return trx.selectFrom('webhooks').selectAll().where('id', '=', id).executeTakeFirst();
}

type WebhookChanges = UpdateObject<ComplaintsSchema, 'webhooks'>;

export function changeWebhook(trx: Trx, id: string, changes: WebhookChanges, at: Date): Promise<Webhook | undefined> {
  return trx
    .updateTable('webhooks')
    .set({ ...changes, updated_at: at })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
}

export async function deleteWebhook(trx: Trx, id: string): Promise<boolean> {
  const { numDeletedRows } = await trx.deleteFrom('webhooks').where('id', '=', id).executeTakeFirst();
  return numDeletedRows > 0n;
}

/**
 * Queues a delivery for each webhook that subscribes to this type. Paused webhooks receive it when they resume. Call
 * this after `addEvent`, whose lock keeps the webhooks from being removed meanwhile.
 */
export async function queueDeliveries(
  trx: Trx,
  { tenantId, type, payload }: Readonly<{ tenantId: string; type: string; payload: string }>,
): Promise<void> {
  const { numAffectedRows = 0n } = await sql`
    insert into webhook_deliveries (tenant_id, id, webhook_id, type, payload)
    select tenant_id, gen_random_uuid(), id, ${type}, ${payload} from webhooks
    where tenant_id = ${tenantId} and state <> 'ended' and ${type} = any (events)`.execute(trx);
  if (numAffectedRows > 0n) await notify(trx, webhooksChannel);
}

type NewDelivery = Pick<WebhookDelivery, 'tenant_id' | 'id' | 'webhook_id' | 'type' | 'payload'>;

export function insertDelivery(trx: Trx, delivery: NewDelivery): Promise<WebhookDelivery> {
  return trx.insertInto('webhook_deliveries').values(delivery).returningAll().executeTakeFirstOrThrow();
}

type LogWanted = Readonly<{
  state?: WebhookDelivery['state'] | undefined;
  before?: string | undefined;
  limit: number;
}>;

/** Lists the delivery log, newest first. */
export function listDeliveries(
  trx: Trx,
  webhookId: string,
  { state, before, limit }: LogWanted,
): Promise<WebhookDelivery[]> {
  let query = trx.selectFrom('webhook_deliveries').selectAll().where('webhook_id', '=', webhookId);
  if (state !== undefined) query = query.where('state', '=', state);
  if (before !== undefined) {
    query = query.where('seq', '<', (of) =>
      of.selectFrom('webhook_deliveries').select('seq').where('webhook_id', '=', webhookId).where('id', '=', before),
    );
  }
  return query.orderBy('seq', 'desc').limit(limit).execute();
}

/** Queues a delivered or dropped delivery again. Sends a waiting delivery immediately. */
export function requeueDelivery(
  trx: Trx,
  { webhookId, id }: Readonly<{ webhookId: string; id: string }>,
): Promise<WebhookDelivery | undefined> {
  const now = sql<Date>`clock_timestamp()`;
  return trx
    .updateTable('webhook_deliveries')
    .set({ state: 'waiting', attempts: 0, due_at: now, queued_at: now })
    .where('webhook_id', '=', webhookId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
}
