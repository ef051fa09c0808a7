import { type DeliveryResult, insertRow, notify, remove, startCourier, updateRow } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import { sql } from 'kysely';
import type { EventType } from '../../domain/events/event-types.ts';
import { type AllowedReceivers, problemOfUrl } from '../../domain/webhooks/addresses.ts';
import * as rules from '../../domain/webhooks/retry-rules.ts';
import { signDelivery, type WebhookKey, type WebhookKeys } from '../../domain/webhooks/signature.ts';
import { AppError, found } from '../../errors.ts';
import { postGuarded } from '../../outgoing/post-guarded.ts';
import { holdEvents } from '../../store/events.ts';
import { asUser, type ComplaintsDatabase } from '../../store/schema.ts';
import type { Webhook, WebhookDelivery } from '../../store/tables.ts';
import * as courier from '../../store/webhooks/courier.ts';
import * as store from '../../store/webhooks/webhooks.ts';
import type { FlowParts } from '../parts.ts';

type NewWebhook = Readonly<{ url: string; events: readonly EventType[]; signature: Webhook['signature'] }>;

/** A webhook. A new webhook also has its secret in base64url. */
type WithSecret = Readonly<{ webhook: Webhook; secret: string | undefined }>;

/** @throws AppError `validation_failed` if the URL is not allowed, or `too_many_webhooks`. */
export async function addWebhook(parts: FlowParts, user: UserIdentity, wanted: NewWebhook): Promise<WithSecret> {
  assertUrl(parts, wanted.url);
  const at = parts.now();
  const webhook = await asUser(parts.db, user, async (trx) => {
    if ((await store.countWebhooks(trx)) >= rules.maxWebhooks) throw new AppError('too_many_webhooks');
    return insertRow(trx, 'webhooks', {
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

/** Changes, pauses or resumes a webhook, even a disabled one. */
export async function editWebhook(parts: FlowParts, user: UserIdentity, id: string, edit: Edit): Promise<Webhook> {
  if (edit.url !== undefined) assertUrl(parts, edit.url);
  const changes = {
    ...edit,
    events: edit.events && [...new Set(edit.events)],
    updated_at: parts.now(),
    ...(edit.state !== undefined && { ended_reason: null }),
    // A new URL or a resumed webhook is tried immediately.
    ...((edit.url !== undefined || edit.state === 'active') && { failures: 0, failing_since: null, retry_at: null }),
  };
  return asUser(parts.db, user, async (trx) => {
    const changed = found(await updateRow(trx, 'webhooks', { id }, changes));
    await notify(trx, store.webhooksChannel);
    return changed;
  });
}

export async function removeWebhook(parts: FlowParts, user: UserIdentity, id: string): Promise<void> {
  const isRemoved = await asUser(parts.db, user, async (trx) => {
    // Waits for transactions that have just read the webhook. Otherwise they would queue a delivery for a deleted
    // webhook, and fail.
    await holdEvents(trx, user.tenantId);
    return remove(trx, 'webhooks', { id });
  });
  if (!isRemoved) throw new AppError('not_found');
}

/** Creates a new secret. For a day, both secrets sign deliveries, so that the receiver can switch. */
export async function rotateSecret(parts: FlowParts, user: UserIdentity, id: string): Promise<WithSecret> {
  const at = parts.now();
  const webhook = await asUser(parts.db, user, async (trx) => {
    const current = found(await store.findWebhook(trx, id));
    if (current.signature !== 'hmac-sha256') throw new AppError('webhook_has_no_secret');
    const changes = {
      updated_at: at,
      secret_version: current.secret_version + 1,
      previous_secret_until: new Date(at.getTime() + rules.previousSecretMs),
    };
    return found(await updateRow(trx, 'webhooks', { id }, changes));
  });
  return { webhook, secret: secretOf(parts, webhook) };
}

export async function pingWebhook(parts: FlowParts, user: UserIdentity, id: string): Promise<WebhookDelivery> {
  return asUser(parts.db, user, async (trx) => {
    await holdEvents(trx, user.tenantId);
    const webhook = found(await store.findWebhook(trx, id));
    if (webhook.state !== 'active') throw new AppError('webhook_not_active');
    const event = { id: parts.newId(), type: 'ping', tenant_id: user.tenantId, created_at: parts.now().toISOString() };
    const delivery = { tenant_id: user.tenantId, id: parts.newId(), webhook_id: id, type: 'ping' };
    const queued = await insertRow(trx, 'webhook_deliveries', { ...delivery, payload: JSON.stringify(event) });
    await notify(trx, store.webhooksChannel);
    return queued;
  });
}

/** Queues a delivered or dropped delivery again. Sends a waiting delivery immediately. */
export async function redeliver(
  parts: FlowParts,
  user: UserIdentity,
  place: Readonly<{ webhook_id: string; id: string }>,
): Promise<WebhookDelivery> {
  return asUser(parts.db, user, async (trx) => {
    const webhook = found(await store.findWebhook(trx, place.webhook_id));
    if (webhook.state === 'ended') throw new AppError('webhook_not_active');
    const now = sql<Date>`clock_timestamp()`;
    const queuedAgain = { state: 'waiting', attempts: 0, due_at: now, queued_at: now } as const;
    const queued = found(await updateRow(trx, 'webhook_deliveries', place, queuedAgain));
    await notify(trx, store.webhooksChannel);
    return queued;
  });
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

type WebhookCourierParts = Readonly<{
  db: ComplaintsDatabase;
  logger: Logger;
  keys: WebhookKeys;
  receivers: AllowedReceivers;
  now: () => Date;
  timeoutMs?: number;
  /** Called for each attempt, and for each delivery that is dropped with a disabled webhook. */
  onResult?: (result: DeliveryResult, deliveries?: number) => void;
}>;

/** How many receivers an instance delivers to at the same time. */
const atOnce = 20;
const ofTenant = 5;
/** How long a receiver's turn lasts. Remaining deliveries wait for its next turn. */
const turnMs = 40_000;

/**
 * Sends queued webhook deliveries at least once, until it is stopped. A slow receiver does not delay the others.
 *
 * @returns A function that aborts current attempts, which are repeated later.
 */
export function startWebhookCourier(parts: WebhookCourierParts): Promise<() => Promise<void>> {
  const { db, logger } = parts;
  const rows = courier.dueWebhooks(db, ofTenant);
  const run = (webhook: courier.Key, stopped: AbortSignal) => deliverDue(parts, webhook, stopped);
  return startCourier({ db, logger, channel: store.webhooksChannel, graceMs: 0, work: [{ rows, atOnce, run }] });
}

/** Sends a webhook's due deliveries one after the other. */
async function deliverDue(parts: WebhookCourierParts, webhook: courier.Key, stopped: AbortSignal): Promise<void> {
  const { db, logger, now } = parts;
  const untilMs = now().getTime() + turnMs;
  try {
    while (!stopped.aborted && now().getTime() < untilMs) {
      const due = await courier.nextDelivery(db, webhook);
      if (due === undefined) break;
      await attempt(parts, due, stopped);
    }
  } catch (error) {
    if (!stopped.aborted) {
      logger.error({ err: error, webhook_id: webhook.id }, 'a webhook cannot be delivered to; retrying');
      return;
    }
  }
  await courier.releaseWebhook(db, webhook);
}

async function attempt(parts: WebhookCourierParts, due: courier.DueDelivery, stopped: AbortSignal): Promise<void> {
  const { db, now, receivers, timeoutMs = rules.attemptTimeoutMs, onResult } = parts;
  const { webhook, delivery } = due;
  const { url } = webhook;
  const body = Buffer.from(delivery.payload);
  const createdSec = Math.floor(now().getTime() / 1000);
  const headers = signDelivery({ url, body, createdSec }, keysOf(parts, webhook));
  const startedAt = performance.now();
  const result = await postGuarded({ url, headers, body, receivers, timeoutMs, signal: stopped });
  const made: courier.DeliveryAttempt = { result, durationMs: Math.round(performance.now() - startedAt) };
  const verdict = rules.verdictOn(result);
  if (verdict === 'taken') {
    await courier.deliveryTaken(db, due, made);
    onResult?.('delivered');
    return;
  }
  const failures = webhook.failures + 1;
  // No status means that the receiver is down, and other deliveries would fail too.
  const isDown = 'failure' in result || failures >= rules.maxFailuresInRow;
  const state = await courier.deliveryFailed(db, due, made, {
    delayMs: rules.retryDelayMs(delivery.attempts + 1, Math.random()),
    pauseMs: isDown ? rules.retryDelayMs(failures, Math.random()) : undefined,
  });
  onResult?.(state === 'failed' ? 'given_up' : 'retried');
  const failingMs = webhook.failing_since === null ? 0 : now().getTime() - webhook.failing_since.getTime();
  if (verdict === 'gone') await end(parts, webhook, 'gone');
  else if (failingMs > rules.giveUpAfterMs) await end(parts, webhook, 'failing');
}

async function end(parts: WebhookCourierParts, webhook: Webhook, reason: 'gone' | 'failing'): Promise<void> {
  const { db, logger, onResult } = parts;
  const givenUp = await courier.endWebhook(db, webhook, reason);
  if (givenUp === undefined) return;
  onResult?.('given_up', givenUp);
  logger.warn({ tenant_id: webhook.tenant_id, webhook_id: webhook.id, reason }, 'a webhook was disabled');
}

function keysOf({ keys, now }: WebhookCourierParts, webhook: Webhook): readonly WebhookKey[] {
  if (webhook.signature === 'ed25519') return [keys.ed25519];
  const { tenant_id: tenantId, id, secret_version: version, previous_secret_until: until } = webhook;
  const versions = until !== null && until > now() ? [version, version - 1] : [version];
  return versions.map((each) => keys.secret({ tenantId, id, version: each }));
}
