import { countRows, notify, rowsWith } from '@countersign/database';
import { sql } from 'kysely';
import type { Trx } from '../schema.ts';
import type { Webhook, WebhookDelivery } from '../tables.ts';

/** The channel that wakes the webhook couriers in all instances. */
export const webhooksChannel = 'countersign_complaint_webhooks';

export async function countWebhooks(trx: Trx): Promise<number> {
  // Of two admins who add the last allowed webhook at the same time, only one can succeed.
  await sql`select pg_advisory_xact_lock(hashtextextended('webhooks ' || current_setting('app.tenant_id'), 0))`.execute(
    trx,
  );
  return (await trx.selectFrom('webhooks').select(countRows).executeTakeFirstOrThrow()).count;
}

export function listWebhooks(trx: Trx): Promise<Webhook[]> {
  return trx.selectFrom('webhooks').selectAll().orderBy('created_at').orderBy('id').execute();
}

export function findWebhook(trx: Trx, id: string): Promise<Webhook | undefined> {
  return rowsWith(trx, 'webhooks', { id }).selectAll().executeTakeFirst();
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
  let query = rowsWith(trx, 'webhook_deliveries', { webhook_id: webhookId }).selectAll();
  if (state !== undefined) query = query.where('state', '=', state);
  if (before !== undefined) {
    query = query.where(
      'seq',
      '<',
      rowsWith(trx, 'webhook_deliveries', { webhook_id: webhookId, id: before }).select('seq'),
    );
  }
  return query.orderBy('seq', 'desc').limit(limit).execute();
}
