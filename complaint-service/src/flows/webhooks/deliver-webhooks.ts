import { type DeliveryResult, startCourier } from '@countersign/database';
import type { Logger } from '@countersign/service-kit';
import type { AllowedReceivers } from '../../domain/webhooks/addresses.ts';
import {
  attemptTimeoutMs,
  giveUpAfterMs,
  maxFailuresInRow,
  retryDelayMs,
  verdictOn,
} from '../../domain/webhooks/retry-rules.ts';
import { signDelivery, type WebhookKey } from '../../domain/webhooks/signature.ts';
import type { WebhookKeys } from '../../domain/webhooks/webhook-keys.ts';
import { postGuarded } from '../../outgoing/post-guarded.ts';
import type { Webhook } from '../../store/schema/deliveries.ts';
import type { ComplaintsDatabase } from '../../store/scope.ts';
import {
  type Attempt,
  type DueDelivery,
  deliveryFailed,
  deliveryTaken,
  dueWebhooks,
  endWebhook,
  type Key,
  nextDelivery,
  releaseWebhook,
} from '../../store/webhooks/courier.ts';
import { webhooksChannel } from '../../store/webhooks/webhooks.ts';

export type WebhookCourierParts = Readonly<{
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
  const rows = dueWebhooks(db, ofTenant);
  const run = (webhook: Key, stopped: AbortSignal) => deliverDue(parts, webhook, stopped);
  return startCourier({ db, logger, channel: webhooksChannel, graceMs: 0, work: [{ rows, atOnce, run }] });
}

/** Sends a webhook's due deliveries one after the other. */
async function deliverDue(parts: WebhookCourierParts, webhook: Key, stopped: AbortSignal): Promise<void> {
  const { db, logger, now } = parts;
  const untilMs = now().getTime() + turnMs;
  try {
    while (!stopped.aborted && now().getTime() < untilMs) {
      const due = await nextDelivery(db, webhook);
      if (due === undefined) break;
      await attempt(parts, due, stopped);
    }
  } catch (error) {
    if (!stopped.aborted) {
      logger.error({ err: error, webhook_id: webhook.id }, 'a webhook cannot be delivered to; retrying');
      return;
    }
  }
  await releaseWebhook(db, webhook);
}

async function attempt(parts: WebhookCourierParts, due: DueDelivery, stopped: AbortSignal): Promise<void> {
  const { db, now, receivers, timeoutMs = attemptTimeoutMs, onResult } = parts;
  const { webhook, delivery } = due;
  const { url } = webhook;
  const body = Buffer.from(delivery.payload);
  const createdSec = Math.floor(now().getTime() / 1000);
  const headers = signDelivery({ url, body, createdSec }, keysOf(parts, webhook));
  const startedAt = performance.now();
  const result = await postGuarded({ url, headers, body, receivers, timeoutMs, signal: stopped });
  const made: Attempt = { result, durationMs: Math.round(performance.now() - startedAt) };
  const verdict = verdictOn(result);
  if (verdict === 'taken') {
    await deliveryTaken(db, due, made);
    onResult?.('delivered');
    return;
  }
  const failures = webhook.failures + 1;
  // No status means that the receiver is down, and other deliveries would fail too.
  const isDown = 'failure' in result || failures >= maxFailuresInRow;
  const state = await deliveryFailed(db, due, made, {
    delayMs: retryDelayMs(delivery.attempts + 1, Math.random()),
    pauseMs: isDown ? retryDelayMs(failures, Math.random()) : undefined,
  });
  onResult?.(state === 'failed' ? 'given_up' : 'retried');
  const failingMs = webhook.failing_since === null ? 0 : now().getTime() - webhook.failing_since.getTime();
  if (verdict === 'gone') await end(parts, webhook, 'gone');
  else if (failingMs > giveUpAfterMs) await end(parts, webhook, 'failing');
}

async function end(parts: WebhookCourierParts, webhook: Webhook, reason: 'gone' | 'failing'): Promise<void> {
  const { db, logger, onResult } = parts;
  const givenUp = await endWebhook(db, webhook, reason);
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
