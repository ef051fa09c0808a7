import type { Logger } from '@countersign/service-kit';
import { deliveryTimeoutMs, leaseSec, maxMailAttempts, retryDelaySec } from '../../domain/mail/outbox-rules.ts';
import type { AuthDatabase } from '../../store/database.ts';
import {
  claimDeliveries,
  type Delivery,
  deliveryDone,
  deliveryFailed,
  nextDueMs,
  outboxChannel,
} from '../../store/mail/outbox.ts';
import { type OutboxTopic, outboxTopics } from '../../store/schema.ts';

/** Hands one thing over, or gives up when `signal` says so. @throws Whatever kept it from being handed over. */
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<void>;

export type DeliveryResult = 'delivered' | 'retried' | 'parked';

export type CourierParts = Readonly<{
  db: AuthDatabase;
  logger: Logger;
  deliver: Readonly<Record<OutboxTopic, Deliver>>;
  /** How long one delivery may take; shorter than its lease. */
  timeoutMs?: number;
  /** For the metrics. */
  onResult?: (topic: OutboxTopic, result: DeliveryResult) => void;
}>;

const atOnce = 10;
const idleMs = 30_000;
const afterFailureMs = 2_000;
// A member is known elsewhere only through this: it is tried until it is, and more often than a mail.
const longestMembershipDelaySec = 30;

// What is just being handed over may finish: a mail that is cut off after its last byte is sent twice.
const graceMs = 5_000;

/**
 * Sends what transactions left in the outbox, at least once and in order for each key, until it is stopped. Any number of instances
 * may do this at once. Each topic has rounds of its own: a mail server that hangs keeps no news of a member waiting.
 *
 * @returns Stops it, after the rounds under way, or five seconds.
 */
export async function startCourier(parts: CourierParts): Promise<() => Promise<void>> {
  const stopped = new AbortController();
  const late = new AbortController();
  let wakes: (() => void)[] = [];
  const wake = () => {
    for (const each of wakes) each();
  };
  const stopListening = await parts.db.listen(outboxChannel, wake);
  const rounds = outboxTopics.map((topic) => startRounds(parts, topic, { stopped: stopped.signal, late: late.signal }));
  wakes = rounds.map(({ wake }) => wake);
  return async () => {
    stopped.abort();
    const timer = setTimeout(() => late.abort(), graceMs);
    wake();
    await Promise.all(rounds.map(({ ended }) => ended));
    clearTimeout(timer);
    await stopListening();
  };
}

/** `stopped`: begin nothing more. `late`: and leave what is under way. */
type Ending = Readonly<{ stopped: AbortSignal; late: AbortSignal }>;

function startRounds(
  parts: CourierParts,
  topic: OutboxTopic,
  ending: Ending,
): Readonly<{ wake(): void; ended: Promise<void> }> {
  let wakeUp = () => {};
  let news = true;

  async function run(): Promise<void> {
    while (!ending.stopped.aborted) {
      news = false;
      const waitMs = await round(parts, topic, ending).catch((error: unknown) => {
        parts.logger.error({ err: error }, 'the outbox cannot be read; it is tried again');
        return afterFailureMs;
      });
      if (news || ending.stopped.aborted) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  return {
    wake() {
      news = true;
      wakeUp();
    },
    ended: run(),
  };
}

/** Delivers whatever of a topic is due. @returns How long nothing will be, in milliseconds. */
async function round(parts: CourierParts, topic: OutboxTopic, { stopped, late }: Ending): Promise<number> {
  for (;;) {
    const claimed = await claimDeliveries(parts.db, { topic, limit: atOnce, leaseSec });
    if (claimed.length === 0) return Math.min(idleMs, (await nextDueMs(parts.db, topic)) ?? idleMs);
    // A server that answers drop by drop never falls silent, and another instance takes what it has when the lease is over.
    const signal = AbortSignal.any([late, AbortSignal.timeout(parts.timeoutMs ?? deliveryTimeoutMs)]);
    await Promise.all(claimed.map((delivery) => attempt(parts, delivery, signal)));
    if (stopped.aborted) return 0;
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
