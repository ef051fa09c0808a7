import type { DeliveryResult } from '@countersign/database';
import type { Mailer } from '@countersign/mail';
import { type Logger, outboxMetrics, type Registry, startBackgroundLoop } from '@countersign/process-kit';
import type { UnsubscribeTokens } from './domain/mail/unsubscribe.ts';
import type { AddressBook } from './domain/people.ts';
import { sweepFiles } from './flows/attachments.ts';
import { runErasures } from './flows/erasure.ts';
import { startMailCourier } from './flows/mail.ts';
import type { FlowParts } from './flows/parts.ts';
import { startWebhookCourier } from './flows/webhooks/webhooks.ts';
import { upkeepChannel } from './store/erasure/erase.ts';
import { mailsOf } from './store/mail.ts';
import type { ComplaintsDatabase } from './store/schema.ts';
import { removeExpired } from './store/upkeep.ts';
import { giveUpWaiting, webhookDepth } from './store/webhooks/courier.ts';

type MailParts = Readonly<{
  mailer: Mailer;
  addresses: AddressBook;
  linkBase: string | undefined;
  tokens: UnsubscribeTokens;
}>;

/** Starts the background work. @returns A function that stops it. */
export async function startBackground(
  parts: FlowParts,
  { logger, metrics, mail }: Readonly<{ logger: Logger; metrics: Registry; mail: MailParts }>,
): Promise<() => Promise<void>> {
  const { db, now, webhooks } = parts;
  const count = deliveryMetrics(metrics, db, logger);
  const stops = [
    await startWebhookCourier({ db, logger, now, ...webhooks, onResult: count.webhook }),
    await startMailCourier({ db, logger, now, ...mail, onResult: count.mail }),
    await startUpkeep(parts, logger),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
    mail.mailer.close();
  };
}

/** Counts deliveries by topic and result, and reports queue lengths. @returns The callbacks for delivery results. */
export function deliveryMetrics(metrics: Registry, db: ComplaintsDatabase, logger: Logger) {
  const mails = mailsOf(db);
  const count = outboxMetrics(metrics, {
    name: 'complaints_outbox',
    results: 'delivered, retried, given_up',
    depth: () => Promise.all([mails.depth(), webhookDepth(db)]),
    logger,
  });
  return {
    mail: (result: DeliveryResult) => count('mail', result),
    webhook: (result: DeliveryResult, deliveries?: number) => count('webhook', result, deliveries),
  };
}

const everyMs = 3600_000;

/**
 * Erases people when their erasure is due. Every hour, also removes old events, stored responses, deliveries and files,
 * and drops deliveries that no webhook will send.
 *
 * @returns A function that stops this after the current transaction.
 */
export async function startUpkeep(parts: FlowParts, logger: Logger): Promise<() => Promise<void>> {
  let sweepAtMs = 0;
  const loop = startBackgroundLoop({
    async run(stopped) {
      const nextAt = await runErasures({ ...parts, logger }, stopped);
      if (performance.now() >= sweepAtMs && !stopped.aborted) {
        sweepAtMs = performance.now() + everyMs;
        const events = await removeExpired(parts.db, 'events');
        const answers = await removeExpired(parts.db, 'idempotency_keys');
        const givenUp = await giveUpWaiting(parts.db);
        const deliveries = await removeExpired(parts.db, 'webhook_deliveries');
        const files = await sweepFiles(parts, stopped);
        logger.debug({ events, answers, givenUp, deliveries, files }, 'removed old rows and files');
      }
      return nextAt === undefined ? everyMs : Math.min(everyMs, Math.max(0, nextAt.getTime() - parts.now().getTime()));
    },
    onError: (error) => logger.error({ err: error }, 'upkeep failed; retrying'),
    afterFailureMs: 60_000,
  });
  const stopListening = await parts.db.listen(upkeepChannel, loop.wake);
  return async () => {
    await stopListening();
    await loop.stop();
  };
}
