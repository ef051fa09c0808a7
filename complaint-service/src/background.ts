import type { Mailer } from '@countersign/mail';
import type { Logger } from '@countersign/service-kit';
import type { AddressBook } from './domain/people.ts';
import { startMailCourier } from './flows/mail/deliver-mail.ts';
import type { FlowParts } from './flows/parts.ts';
import { startUpkeep } from './flows/upkeep.ts';
import { startWebhookCourier } from './flows/webhooks/deliver-webhooks.ts';

type MailParts = Readonly<{ mailer: Mailer; addresses: AddressBook; linkBase: string | undefined }>;

/** Starts what runs beside the requests. @returns Stops it. */
export async function startBackground(
  parts: FlowParts,
  { logger, mail }: Readonly<{ logger: Logger; mail: MailParts }>,
): Promise<() => Promise<void>> {
  const { db, now, webhooks } = parts;
  const stops = [
    await startWebhookCourier({ db, logger, now, ...webhooks }),
    await startMailCourier({ db, logger, now, ...mail }),
    await startUpkeep(parts, logger),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
    mail.mailer.close();
  };
}
