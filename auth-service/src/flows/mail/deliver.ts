import { deliveries, startCourier as start } from '@countersign/database';
import type { Logger } from '@countersign/service-kit';
import type { AuthDatabase } from '../../store/database.ts';
import { type Delivery, outboxChannel, outboxOf } from '../../store/mail/outbox.ts';
import type { OutboxTopic } from '../../store/schema.ts';

/** Delivers one message. Stops when `signal` aborts. @throws The error that prevented the delivery. */
export type Deliver = (delivery: Readonly<{ payload: unknown }>, signal: AbortSignal) => Promise<void>;

export type DeliveryResult = 'delivered' | 'retried' | 'parked';

export type CourierParts = Readonly<{
  db: AuthDatabase;
  logger: Logger;
  deliver: Readonly<Record<OutboxTopic, Deliver>>;
  /** Timeout of one delivery. */
  timeoutMs?: number;
  /** The `topic` label of the metrics. */
  onResult?: (topic: OutboxTopic, result: DeliveryResult) => void;
}>;

// Other services receive memberships only this way, so a delivery is retried until it succeeds, more often than a
// mail.
const longestMembershipDelaySec = 30;

// Current deliveries may finish on shutdown: an email that is cut off after its last byte would be sent twice.
const graceMs = 5_000;

/**
 * Delivers messages from the outbox at least once, in order per key, until it is stopped. A mail server that hangs does
 * not delay membership updates.
 *
 * @returns A function that stops it after the current deliveries, or after five seconds.
 */
export function startCourier(parts: CourierParts): Promise<() => Promise<void>> {
  const { db, logger, deliver, timeoutMs = deliveryTimeoutMs, onResult } = parts;
  const topic = (name: OutboxTopic, what: string, retryAfterSec: (attempts: number) => number | undefined) =>
    deliveries<Delivery>({
      rows: outboxOf(db, name),
      logger,
      what,
      atOnce: 10,
      timeoutMs,
      async deliver({ payload }, signal) {
        await deliver[name]({ payload: JSON.parse(payload) }, signal);
        return true;
      },
      retryAfterMs({ attempts }) {
        const sec = retryAfterSec(attempts);
        return sec === undefined ? undefined : sec * 1000;
      },
      parks: true,
      logFields: ({ seq }) => ({ outbox_seq: seq, topic: name }),
      onResult: (result) => onResult?.(name, result === 'given_up' ? 'parked' : result),
    });
  return start({
    db,
    logger,
    channel: outboxChannel,
    graceMs,
    work: [
      topic('mail', 'a mail', (attempts) => (attempts >= maxMailAttempts ? undefined : retryDelaySec(attempts))),
      topic('membership', 'a membership update', (attempts) => retryDelaySec(attempts, longestMembershipDelaySec)),
    ],
  });
}

/** Total timeout of one delivery, even if the other side keeps sending data. */
export const deliveryTimeoutMs = 45_000;

/** Number of failures after which an email is parked: about two hours of retries. */
export const maxMailAttempts = 12;

const longestDelaySec = 900;

/** Delay after this many failures, in seconds: 2, 4, 8 … up to 15 minutes. */
export function retryDelaySec(attempts: number, longestSec = longestDelaySec): number {
  return Math.min(longestSec, 2 ** Math.min(attempts, 20));
}
