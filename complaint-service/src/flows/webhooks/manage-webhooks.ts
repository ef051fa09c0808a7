import { notify } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import type { EventType } from '../../domain/events/event-types.ts';
import { problemOfUrl } from '../../domain/webhooks/addresses.ts';
import { maxWebhooks, previousSecretMs } from '../../domain/webhooks/retry-rules.ts';
import { AppError } from '../../errors.ts';
import { holdEvents } from '../../store/events/events.ts';
import type { Webhook, WebhookDelivery } from '../../store/schema/deliveries.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import {
  changeWebhook,
  countWebhooks,
  deleteWebhook,
  findWebhook,
  insertDelivery,
  insertWebhook,
  requeueDelivery,
  webhooksChannel,
} from '../../store/webhooks/webhooks.ts';
import type { FlowParts } from '../parts.ts';

type NewWebhook = Readonly<{ url: string; events: readonly EventType[]; signature: Webhook['signature'] }>;

/** A webhook. A new webhook also has its secret in base64url. */
export type WithSecret = Readonly<{ webhook: Webhook; secret: string | undefined }>;

/** @throws AppError `validation_failed` if the URL is not allowed, or `too_many_webhooks`. */
export async function addWebhook(parts: FlowParts, user: UserIdentity, wanted: NewWebhook): Promise<WithSecret> {
  assertUrl(parts, wanted.url);
  const at = parts.now();
  const webhook = await asUser(parts.db, user, async (trx) => {
    if ((await countWebhooks(trx)) >= maxWebhooks) throw new AppError('too_many_webhooks');
    return insertWebhook(trx, {
      tenant_id: user.tenantId,
      id: parts.newId(),
      ...wanted,
      events: [...new Set(wanted.events)],
      state: 'active',
      created_by: user.userId,
      created_at: at,
      updated_at: at,
    });
  });
  return { webhook, secret: secretOf(parts, webhook) };
}

type Edit = Readonly<{
  url?: string | undefined;
  events?: readonly EventType[] | undefined;
  state?: 'active' | 'paused' | undefined;
}>;

/** Changes, pauses or resumes a webhook, even a disabled one. @throws AppError `not_found` */
export async function editWebhook(parts: FlowParts, user: UserIdentity, id: string, edit: Edit): Promise<Webhook> {
  if (edit.url !== undefined) assertUrl(parts, edit.url);
  const changes = {
    ...edit,
    events: edit.events && [...new Set(edit.events)],
    ...(edit.state !== undefined && { ended_reason: null }),
    // A new URL or a resumed webhook is tried immediately.
    ...((edit.url !== undefined || edit.state === 'active') && { failures: 0, failing_since: null, retry_at: null }),
  };
  return asUser(parts.db, user, async (trx) => {
    const changed = await changeWebhook(trx, id, changes, parts.now());
    if (changed === undefined) throw new AppError('not_found');
    await notify(trx, webhooksChannel);
    return changed;
  });
}

/** Removes a webhook and its delivery log. @throws AppError `not_found` */
export async function removeWebhook(parts: FlowParts, user: UserIdentity, id: string): Promise<void> {
  const isRemoved = await asUser(parts.db, user, async (trx) => {
    // Waits for transactions that have just read the webhook. Otherwise they would queue a delivery for a deleted
    // webhook, and fail.
    await holdEvents(trx, user.tenantId);
    return deleteWebhook(trx, id);
  });
  if (!isRemoved) throw new AppError('not_found');
}

/**
 * Creates a new secret. For a day, both secrets sign deliveries, so that the receiver can switch.
 *
 * @throws AppError `not_found`, or `webhook_has_no_secret`.
 */
export async function rotateSecret(parts: FlowParts, user: UserIdentity, id: string): Promise<WithSecret> {
  const at = parts.now();
  const webhook = await asUser(parts.db, user, async (trx) => {
    const current = await getWebhook(trx, id);
    if (current.signature !== 'hmac-sha256') throw new AppError('webhook_has_no_secret');
    const changes = {
      secret_version: current.secret_version + 1,
      previous_secret_until: new Date(at.getTime() + previousSecretMs),
    };
    return changeWebhook(trx, id, changes, at);
  });
  if (webhook === undefined) throw new AppError('not_found');
  return { webhook, secret: secretOf(parts, webhook) };
}

/** Queues a test delivery. @throws AppError `not_found`, or `webhook_not_active`. */
export async function pingWebhook(parts: FlowParts, user: UserIdentity, id: string): Promise<WebhookDelivery> {
  return asUser(parts.db, user, async (trx) => {
    await holdEvents(trx, user.tenantId);
    const webhook = await getWebhook(trx, id);
    if (webhook.state !== 'active') throw new AppError('webhook_not_active');
    const event = { id: parts.newId(), type: 'ping', tenant_id: user.tenantId, created_at: parts.now().toISOString() };
    const delivery = { tenant_id: user.tenantId, id: parts.newId(), webhook_id: id, type: 'ping' };
    const queued = await insertDelivery(trx, { ...delivery, payload: JSON.stringify(event) });
    await notify(trx, webhooksChannel);
    return queued;
  });
}

/**
 * Sends a logged delivery again.
 *
 * @throws AppError `not_found`, or `webhook_not_active`.
 */
export async function redeliver(
  parts: FlowParts,
  user: UserIdentity,
  place: Readonly<{ webhookId: string; id: string }>,
): Promise<WebhookDelivery> {
  return asUser(parts.db, user, async (trx) => {
    const webhook = await getWebhook(trx, place.webhookId);
    if (webhook.state === 'ended') throw new AppError('webhook_not_active');
    const queued = await requeueDelivery(trx, place);
    if (queued === undefined) throw new AppError('not_found');
    await notify(trx, webhooksChannel);
    return queued;
  });
}

export async function getWebhook(trx: Trx, id: string): Promise<Webhook> {
  const webhook = await findWebhook(trx, id);
  if (webhook === undefined) throw new AppError('not_found');
  return webhook;
}

function assertUrl({ webhooks }: FlowParts, url: string): void {
  const message = problemOfUrl(url, webhooks.receivers);
  if (message !== undefined) throw new AppError('validation_failed', { errors: [{ path: 'url', message }] });
}

function secretOf({ webhooks }: FlowParts, webhook: Webhook): string | undefined {
  if (webhook.signature !== 'hmac-sha256') return undefined;
  const { tenant_id: tenantId, id, secret_version: version } = webhook;
  return webhooks.keys.secret({ tenantId, id, version }).secret.toString('base64url');
}
