import { type Logger, type Rounds, startRounds } from '@countersign/service-kit';
import {
  deliveryTimeoutMs,
  leaseSec,
  maxMailAttempts,
  renewEveryMs,
  retryDelaySec,
} from '../../domain/mail/outbox-rules.ts';
import type { AuthDatabase } from '../../store/database.ts';
import {
  claimDeliveries,
  type Delivery,
  deliveryDone,
  deliveryFailed,
  nextDueMs,
  outboxChannel,
  renewLeases,
} from '../../store/mail/outbox.ts';
import { type OutboxTopic, outboxTopics } from '../../store/schema.ts';

/** Delivers one message, or stops when `signal` aborts. @throws The error that prevented the delivery. */
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<void>;

export type DeliveryResult = 'delivered' | 'retried' | 'parked';

export type CourierParts = Readonly<{
  db: AuthDatabase;
  logger: Logger;
  deliver: Readonly<Record<OutboxTopic, Deliver>>;
  /** How long one delivery may take. */
  timeoutMs?: number;
  /** For the metrics. */
  onResult?: (topic: OutboxTopic, result: DeliveryResult) => void;
}>;

const atOnce = 10;
const idleMs = 30_000;
// Other services learn of members only this way, so a delivery is retried until it succeeds, and more often than a mail.
const longestMembershipDelaySec = 30;

// Deliveries under way may finish on stop: a mail that is cut off after its last byte would be sent twice.
const graceMs = 5_000;

/**
 * Sends what transactions left in the outbox, at least once and in order for each key, until it is stopped. Any number of instances
 * may do this at once. Each topic has its own loop, so that a hanging mail server does not delay membership updates.
 *
 * @returns Stops it, after the rounds under way, or five seconds.
 */
export async function startCourier(parts: CourierParts): Promise<() => Promise<void>> {
  const late = new AbortController();
  const underWay = new Set<Delivery>();
  let rounds: readonly Rounds[] = [];
  const stopListening = await parts.db.listen(outboxChannel, () => {
    for (const { wake } of rounds) wake();
  });
  rounds = outboxTopics.map((topic) =>
    startRounds({
      round: (stopped) => round(parts, topic, { underWay, stopped, late: late.signal }),
      onError: (error) => parts.logger.error({ err: error }, 'the outbox cannot be read; it is tried again'),
    }),
  );
  const renewals = startRounds({
    async round() {
      if (underWay.size > 0) await renewLeases(parts.db, [...underWay], leaseSec);
      return renewEveryMs;
    },
    onError: (error) => parts.logger.error({ err: error }, 'leases cannot be renewed; it is tried again'),
  });
  return async () => {
    const timer = setTimeout(() => late.abort(), graceMs);
    await Promise.all(rounds.map(({ stop }) => stop()));
    clearTimeout(timer);
    await renewals.stop();
    await stopListening();
  };
}

/** `underWay`: whose leases are renewed. `stopped`: start no more deliveries. `late`: abort those under way too. */
type Run = Readonly<{ underWay: Set<Delivery>; stopped: AbortSignal; late: AbortSignal }>;

/** Delivers all due messages of a topic. @returns Milliseconds until the next one is due. */
async function round(parts: CourierParts, topic: OutboxTopic, { underWay, stopped, late }: Run): Promise<number> {
  for (;;) {
    const claimed = await claimDeliveries(parts.db, { topic, limit: atOnce, leaseSec });
    if (claimed.length === 0) return Math.min(idleMs, (await nextDueMs(parts.db, topic)) ?? idleMs);
    // A server that answers very slowly never hits an idle timeout.
    const signal = AbortSignal.any([late, AbortSignal.timeout(parts.timeoutMs ?? deliveryTimeoutMs)]);
    const deliver = (delivery: Delivery) => {
      underWay.add(delivery);
      return attempt(parts, delivery, signal).finally(() => underWay.delete(delivery));
    };
    await Promise.all(claimed.map(deliver));
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

/** Keeps only the name and code of the error or its cause: a mail server's message can quote the mail. */
function reasonOf(error: unknown): string {
  const { name, code, cause } = error as { name?: string; code?: string; cause?: { code?: string } };
  return [name, code ?? cause?.code].filter((part) => part !== undefined).join(' ') || 'unknown error';
}
