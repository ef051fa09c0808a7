import type { Logger, Rounds } from '@countersign/service-kit';
import { startRounds } from '@countersign/service-kit';
import type { WebhookReach } from '../../domain/webhooks/addresses.ts';
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
import type { Webhook } from '../../store/schema/webhooks.ts';
import type { ComplaintsDatabase } from '../../store/scope.ts';
import {
  type Attempt,
  claimWebhooks,
  type DueDelivery,
  deliveryFailed,
  deliveryTaken,
  endWebhook,
  nextDelivery,
  nextDueMs,
  releaseWebhook,
} from '../../store/webhooks/courier.ts';
import { webhooksChannel } from '../../store/webhooks/webhooks.ts';
import type { DeliveryResult } from '../delivery-result.ts';

export type WebhookCourierParts = Readonly<{
  db: ComplaintsDatabase;
  logger: Logger;
  keys: WebhookKeys;
  reach: WebhookReach;
  now: () => Date;
  random?: () => number;
  timeoutMs?: number;
  /** Called for each attempt, and for the deliveries that are given up with a webhook. */
  onResult?: (result: DeliveryResult, deliveries?: number) => void;
}>;

/** Receivers that are served at the same time, by one instance. */
const maxLanes = 20;
const maxLanesOfTenant = 5;
const idleMs = 30_000;
/** Until the lanes of a tenant are counted again, which other instances may hold. */
const busyMs = 1_000;
const leaseMs = 60_000;
/** A lane stops early enough that its last attempt ends within the lease. */
const laneMs = 40_000;

type Lane = Awaited<ReturnType<typeof claimWebhooks>>[number];

/**
 * Delivers what transactions queued for webhooks, at least once, until it is stopped. Each receiver has a lane of its own:
 * one that hangs delays no other. Any number of instances may do this at once.
 *
 * @returns Stops it. Attempts under way are broken off, and made again later.
 */
export async function startWebhookCourier(parts: WebhookCourierParts): Promise<() => Promise<void>> {
  const lanes = new Set<Promise<void>>();
  let rounds: Rounds | undefined;
  const stopListening = await parts.db.listen(webhooksChannel, () => rounds?.wake());
  rounds = startRounds({
    async round(stopped) {
      const free = maxLanes - lanes.size;
      const claimed =
        free === 0 ? [] : await claimWebhooks(parts.db, { limit: free, perTenant: maxLanesOfTenant, leaseMs });
      for (const lane of claimed) {
        const running: Promise<void> = runLane(parts, lane, stopped).finally(() => {
          lanes.delete(running);
          rounds?.wake();
        });
        lanes.add(running);
      }
      if (free === 0) return idleMs;
      // What is due now and was not claimed waits for a lane of its tenant.
      const dueMs = (await nextDueMs(parts.db)) ?? idleMs;
      return dueMs === 0 ? busyMs : Math.min(idleMs, dueMs);
    },
    onError: (error) => parts.logger.error({ err: error }, 'webhooks cannot be read; they are tried again'),
  });
  const started = rounds;
  return async () => {
    await started.stop();
    await Promise.all(lanes);
    await stopListening();
  };
}

/** Delivers what is due for one webhook, one after the other. Never rejects: after the lease, it is tried again. */
async function runLane(parts: WebhookCourierParts, lane: Lane, stopped: AbortSignal): Promise<void> {
  const { db, logger, now } = parts;
  const untilMs = now().getTime() + laneMs;
  try {
    while (!stopped.aborted && now().getTime() < untilMs) {
      const due = await nextDelivery(db, lane);
      if (due === undefined) break;
      await attempt(parts, due, stopped);
    }
    await releaseWebhook(db, lane);
  } catch (error) {
    if (stopped.aborted) await releaseWebhook(db, lane).catch(() => undefined);
    else logger.error({ err: error, webhook_id: lane.id }, 'a webhook cannot be served; it is tried again');
  }
}

async function attempt(parts: WebhookCourierParts, due: DueDelivery, stopped: AbortSignal): Promise<void> {
  const { db, now, random = Math.random, timeoutMs = attemptTimeoutMs, onResult } = parts;
  const { webhook, delivery } = due;
  const body = Buffer.from(delivery.payload);
  const createdSec = Math.floor(now().getTime() / 1000);
  const headers = signDelivery({ url: webhook.url, body, createdSec }, keysOf(parts, webhook));
  const startedAt = performance.now();
  const result = await postGuarded({ url: webhook.url, headers, body, reach: parts.reach, timeoutMs, signal: stopped });
  const made: Attempt = { result, durationMs: Math.round(performance.now() - startedAt) };
  const verdict = verdictOn(result);
  if (verdict === 'taken') {
    await deliveryTaken(db, due, made);
    onResult?.('delivered');
    return;
  }
  const failures = webhook.failures + 1;
  // Without any status, the receiver is down: what else waits would fail too.
  const isDown = 'failure' in result || failures >= maxFailuresInRow;
  const state = await deliveryFailed(db, due, made, {
    delayMs: retryDelayMs(delivery.attempts + 1, random()),
    pauseMs: isDown ? retryDelayMs(failures, random()) : undefined,
    giveUpAfterMs,
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
  logger.warn({ tenant_id: webhook.tenant_id, webhook_id: webhook.id, reason }, 'a webhook was ended');
}

function keysOf({ keys, now }: WebhookCourierParts, webhook: Webhook): readonly WebhookKey[] {
  if (webhook.signature === 'ed25519') return [keys.ed25519];
  const { tenant_id: tenantId, id, secret_version: version, previous_secret_until: until } = webhook;
  const versions = until !== null && until > now() ? [version, version - 1] : [version];
  return versions.map((each) => keys.secret({ tenantId, id, version: each }));
}
