import { deliveries, startCourier as start } from '@countersign/database';
import type { Logger } from '@countersign/service-kit';
import type { AuthDatabase } from '../../store/database.ts';
import { type Delivery, outboxChannel, outboxOf } from '../../store/mail/outbox.ts';
import type { OutboxTopic } from '../../store/schema.ts';

/** Delivers one message. Stops when `signal` aborts. @throws The error that prevented the delivery. */
export type Deliver = (delivery: Readonly<{ payload: unknown }>, signal: AbortSignal) => Promise<void>;

export type CourierParts = Readonly<{
  db: AuthDatabase;
  logger: Logger;
  deliver: Readonly<Record<OutboxTopic, Deliver>>;
  /** Timeout of one delivery. */
  timeoutMs?: number;
  onResult?: (topic: OutboxTopic, result: 'delivered' | 'retried' | 'parked') => void;
}>;

// Retried until it succeeds, and more often than email, because other services learn of members only this way.
const longestMembershipDelayMs = 30_000;

// Current deliveries can finish during shutdown. Interrupting an email after its last byte would send it twice.
const graceMs = 5_000;

/**
 * Delivers outbox messages at least once, in order for each key. A slow mail server does not delay membership updates.
 *
 * @returns A function that stops the delivery after the current messages, or after five seconds.
 */
export function startCourier(parts: CourierParts): Promise<() => Promise<void>> {
  const { db, logger, deliver, timeoutMs = deliveryTimeoutMs, onResult } = parts;
  const topic = (name: OutboxTopic, what: string, retryAfterMs: (attempts: number) => number | undefined) =>
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
      retryAfterMs: ({ attempts }) => retryAfterMs(attempts),
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
      topic('mail', 'an email', (attempts) => (attempts >= maxMailAttempts ? undefined : retryDelayMs(attempts))),
      topic('membership', 'a membership update', (attempts) => retryDelayMs(attempts, longestMembershipDelayMs)),
    ],
  });
}

/** Total timeout of a delivery, even if the mail server keeps sending data. */
export const deliveryTimeoutMs = 45_000;

/** An email is parked after this many failures, about two hours of retries. */
export const maxMailAttempts = 12;

const longestDelayMs = 900_000;

/** Delay after this many failures: 2, 4, 8 … seconds, up to 15 minutes. */
export function retryDelayMs(attempts: number, longestMs = longestDelayMs): number {
  return Math.min(longestMs, 1000 * 2 ** Math.min(attempts, 20));
}
