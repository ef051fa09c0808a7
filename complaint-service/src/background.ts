import type { DeliveryResult } from '@countersign/database';
import type { Mailer } from '@countersign/mail';
import { type Logger, outboxMetrics, type Registry } from '@countersign/service-kit';
import type { AddressBook } from './domain/people.ts';
import { startMailCourier } from './flows/mail/deliver-mail.ts';
import type { FlowParts } from './flows/parts.ts';
import { startUpkeep } from './flows/upkeep.ts';
import { startWebhookCourier } from './flows/webhooks/deliver-webhooks.ts';
import { mailsOf } from './store/mail/outbox.ts';
import type { ComplaintsDatabase } from './store/scope.ts';
import { webhookDepth } from './store/webhooks/courier.ts';

type MailParts = Readonly<{ mailer: Mailer; addresses: AddressBook; linkBase: string | undefined }>;

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
