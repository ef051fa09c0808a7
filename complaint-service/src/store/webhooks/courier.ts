import { inMs, type LeasedRows, leasedRows, now, rowsWith, update, updateRow } from '@countersign/database';
import type { OutboxDepth } from '@countersign/process-kit';
import { sql, type UpdateObject } from 'kysely';
import { giveUpAfterMs, type PostResult } from '../../domain/webhooks/retry-rules.ts';
import { courierRole } from '../roles.ts';
import type { ComplaintsDatabase, Trx } from '../schema.ts';
import type { ComplaintsSchema, Webhook, WebhookDelivery } from '../tables.ts';

const asCourier = <T>(db: ComplaintsDatabase, work: (trx: Trx) => Promise<T>) =>
  db.transaction({ role: courierRole }, work);

/** Whether a delivery has waited too long. */
const isTooOld = sql`queued_at < ${inMs(-giveUpAfterMs)}`;

export type Key = Readonly<{ tenant_id: string; id: string }>;

/**
 * Leases webhooks with due deliveries in all tenants, so that only one instance delivers to each. A slow receiver
 * blocks only its own webhook. A tenant has at most `perTenant` leases, so that slow receivers cannot take all slots.
 */
export function dueWebhooks(db: ComplaintsDatabase, perTenant: number): LeasedRows<Key> {
  return leasedRows({
    db,
    role: courierRole,
    table: 'webhooks',
    key: ['tenant_id', 'id'],
    waits: sql`o.state = 'active'`,
    // With `exists`, the planner would read every waiting delivery for a join.
    dueAt: sql`(select greatest(o.retry_at, d.due_at) from webhook_deliveries d
      where d.tenant_id = o.tenant_id and d.webhook_id = o.id and d.state = 'waiting' order by d.due_at limit 1)`,
    // Starts with the webhook whose last delivery is oldest.
    order: sql`o.leased_until nulls first, o.created_at`,
    perTenant,
  });
}

/**
 * Counts the waiting deliveries of active webhooks in all tenants. Paused webhooks do not count, because they wait for
 * an admin.
 */
export async function webhookDepth(db: ComplaintsDatabase): Promise<OutboxDepth> {
  const { rows } = await asCourier(db, (trx) =>
    sql<Omit<OutboxDepth, 'topic'>>`
      select count(*)::int as waiting, coalesce(extract(epoch from ${now} - min(d.queued_at)), 0)::float8 as "oldestSec"
      from webhook_deliveries d join webhooks w on w.tenant_id = d.tenant_id and w.id = d.webhook_id
      where d.state = 'waiting' and w.state = 'active'`.execute(trx),
  );
  return { topic: 'webhook', waiting: 0, oldestSec: 0, ...rows[0] };
}

export type DueDelivery = Readonly<{ webhook: Webhook; delivery: WebhookDelivery }>;

/** Reads a webhook's next due delivery. The webhook may have been changed or paused meanwhile. */
export function nextDelivery(db: ComplaintsDatabase, { tenant_id, id }: Key): Promise<DueDelivery | undefined> {
  return asCourier(db, async (trx) => {
    const active = rowsWith(trx, 'webhooks', { tenant_id, id, state: 'active' });
    const isFree = sql<boolean>`coalesce(retry_at <= ${now}, true)`;
    const webhook = await active.where(isFree).selectAll().executeTakeFirst();
    if (webhook === undefined) return undefined;
    const waiting = rowsWith(trx, 'webhook_deliveries', { tenant_id, webhook_id: id, state: 'waiting' });
    const due = waiting.where('due_at', '<=', now).orderBy('due_at').orderBy('seq').limit(1);
    const delivery = await due.selectAll().executeTakeFirst();
    return delivery && { webhook, delivery };
  });
}

export type DeliveryAttempt = Readonly<{ result: PostResult; durationMs: number }>;

/** Records that a delivery was accepted, and resets the webhook's failures. */
export function deliveryTaken(
  db: ComplaintsDatabase,
  { webhook, delivery }: DueDelivery,
  attempt: DeliveryAttempt,
): Promise<void> {
  return asCourier(db, async (trx) => {
    await updateWebhook(trx, webhook, { failures: 0, failing_since: null, retry_at: null });
    await noteAttempt(trx, delivery, attempt, { state: 'delivered' });
  });
}

/**
 * Records a failed attempt and the time of the next one. After several failures, also delays the whole webhook.
 *
 * @returns Whether the delivery will be retried. Undefined if its webhook was removed meanwhile.
 */
export function deliveryFailed(
  db: ComplaintsDatabase,
  { webhook, delivery }: DueDelivery,
  attempt: DeliveryAttempt,
  next: Readonly<{ delayMs: number; pauseMs: number | undefined }>,
): Promise<WebhookDelivery['state'] | undefined> {
  const state = sql<'failed' | 'waiting'>`case when ${isTooOld} then 'failed' else 'waiting' end`;
  return asCourier(db, async (trx) => {
    await updateAttempted(trx, webhook, {
      failures: sql<number>`failures + 1`,
      failing_since: sql<Date>`coalesce(failing_since, ${now})`,
      ...(next.pauseMs !== undefined && { retry_at: inMs(next.pauseMs) }),
    });
    const noted = await noteAttempt(trx, delivery, attempt, { state, due_at: inMs(next.delayMs) });
    return noted?.state;
  });
}

/**
 * Disables a webhook after an attempt, and drops its waiting deliveries.
 *
 * @returns The number of dropped deliveries. Undefined if an admin has changed the webhook since the attempt began.
 */
export function endWebhook(
  db: ComplaintsDatabase,
  webhook: Webhook,
  reason: 'gone' | 'failing',
): Promise<number | undefined> {
  return asCourier(db, async (trx) => {
    const isEnded = await updateAttempted(trx, webhook, { state: 'ended', ended_reason: reason });
    if (!isEnded) return undefined;
    const { numUpdatedRows } = await trx
      .updateTable('webhook_deliveries')
      .set({ state: 'failed' })
      .where('tenant_id', '=', webhook.tenant_id)
      .where('webhook_id', '=', webhook.id)
      .where('state', '=', 'waiting')
      .executeTakeFirst();
    return Number(numUpdatedRows);
  });
}

/**
 * Drops deliveries that will not be sent: deliveries of disabled webhooks that were queued concurrently, and deliveries
 * that waited longer than `giveUpAfterMs` for a paused webhook.
 */
export async function giveUpWaiting(db: ComplaintsDatabase): Promise<number> {
  const { numAffectedRows = 0n } = await asCourier(db, (trx) =>
    sql`
      update webhook_deliveries set state = 'failed'
      from webhooks w
      where w.tenant_id = webhook_deliveries.tenant_id and w.id = webhook_deliveries.webhook_id and w.state <> 'active'
        and webhook_deliveries.state = 'waiting' and (w.state = 'ended' or ${isTooOld})`.execute(trx),
  );
  return Number(numAffectedRows);
}

/** Ends a lease, but keeps its time, so that the webhook whose last delivery is oldest comes first. */
export async function releaseWebhook(db: ComplaintsDatabase, webhook: Key): Promise<void> {
  await asCourier(db, (trx) => updateWebhook(trx, webhook, { leased_until: now }));
}

type Changes<Table extends 'webhooks' | 'webhook_deliveries'> = UpdateObject<ComplaintsSchema, Table>;

/** Locks the webhook before its deliveries, as its removal does, so that the two cannot deadlock. */
function updateWebhook(trx: Trx, { tenant_id, id }: Key, changes: Changes<'webhooks'>): Promise<boolean> {
  return update(trx, 'webhooks', { tenant_id, id }, changes);
}

/**
 * Changes a webhook after an attempt, unless an admin has changed it since: a failure at the old URL tells nothing
 * about the new one.
 */
function updateAttempted(trx: Trx, webhook: Webhook, changes: Changes<'webhooks'>): Promise<boolean> {
  const { tenant_id, id, updated_at } = webhook;
  return update(trx, 'webhooks', { tenant_id, id, updated_at }, changes);
}

function noteAttempt(
  trx: Trx,
  { tenant_id, id }: Key,
  { result, durationMs }: DeliveryAttempt,
  next: Changes<'webhook_deliveries'>,
): Promise<WebhookDelivery | undefined> {
  return updateRow(
    trx,
    'webhook_deliveries',
    { tenant_id, id },
    {
      attempts: sql<number>`attempts + 1`,
      attempted_at: now,
      status: 'status' in result ? result.status : null,
      failure: 'failure' in result ? result.failure : null,
      duration_ms: durationMs,
      ...next,
    },
  );
}
