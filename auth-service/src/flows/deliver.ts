import type { Logger } from '@countersign/service-kit';
import { leaseSec, maxMailAttempts, retryDelaySec } from '../domain/outbox-rules.ts';
import type { AuthDatabase } from '../store/database.ts';
import {
  claimDeliveries,
  type Delivery,
  deliveryDone,
  deliveryFailed,
  nextDueMs,
  outboxChannel,
} from '../store/outbox.ts';
import type { OutboxTopic } from '../store/schema.ts';

/** Hands one thing over. @throws DeliveryError, or whatever kept it from being handed over. */
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<void>;

export type DeliveryResult = 'delivered' | 'retried' | 'parked';

export type CourierParts = Readonly<{
  db: AuthDatabase;
  logger: Logger;
  deliver: Readonly<Record<OutboxTopic, Deliver>>;
  /** For the metrics. */
  onResult?: (topic: OutboxTopic, result: DeliveryResult) => void;
}>;

const atOnce = 10;
const idleMs = 30_000;
const afterFailureMs = 2_000;
// A member is known elsewhere only through this: it is tried until it is, and more often than a mail.
const longestMembershipDelaySec = 30;

/**
 * Sends what transactions left in the outbox, at least once and in order for each key, until it is stopped. Any number of instances
 * may do this at once.
 *
 * @returns Stops it, after the round under way.
 */
export async function startCourier(parts: CourierParts): Promise<() => Promise<void>> {
  const stopped = new AbortController();
  let wake = () => {};
  let news = true;
  const stopListening = await parts.db.listen(outboxChannel, () => {
    news = true;
    wake();
  });

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      news = false;
      const waitMs = await round(parts, stopped.signal).catch((error: unknown) => {
        parts.logger.error({ err: error }, 'the outbox cannot be read; it is tried again');
        return afterFailureMs;
      });
      if (news || stopped.signal.aborted) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  const running = run();
  return async () => {
    stopped.abort();
    wake();
    await running;
    await stopListening();
  };
}

/** Delivers whatever is due. @returns How long nothing will be, in milliseconds. */
async function round(parts: CourierParts, signal: AbortSignal): Promise<number> {
  for (;;) {
    const claimed = await claimDeliveries(parts.db, { limit: atOnce, leaseSec });
    if (claimed.length === 0) return Math.min(idleMs, (await nextDueMs(parts.db)) ?? idleMs);
    await Promise.all(claimed.map((delivery) => attempt(parts, delivery, signal)));
    if (signal.aborted) return 0;
  }
}

async function attempt(parts: CourierParts, delivery: Delivery, signal: AbortSignal): Promise<void> {
  const { db, logger, deliver, onResult } = parts;
  const { topic, seq, attempts } = delivery;
  try {
    await deliver[topic](delivery, signal);
  } catch (error) {
    const parked = topic === 'mail' && attempts >= maxMailAttempts;
    const longestSec = topic === 'membership' ? longestMembershipDelaySec : undefined;
    const retryInSec = parked ? undefined : retryDelaySec(attempts, longestSec);
    const reason = reasonOf(error);
    await deliveryFailed(db, delivery, { error: reason, retryInSec });
    const log = { outbox_seq: seq, topic, attempts, reason, retry_in_sec: retryInSec };
    if (parked) logger.error(log, 'a mail was given up');
    else logger.warn(log, 'a delivery failed; it is tried again');
    onResult?.(topic, parked ? 'parked' : 'retried');
    return;
  }
  await deliveryDone(db, delivery);
  onResult?.(topic, 'delivered');
}

/** The name and the code only, of the error or of what caused it: what a mail server says can quote the mail. */
function reasonOf(error: unknown): string {
  const { name, code, cause } = error as { name?: string; code?: string; cause?: { code?: string } };
  return [name, code ?? cause?.code].filter((part) => part !== undefined).join(' ') || 'unknown error';
}
