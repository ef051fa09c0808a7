import type { CallService } from '@countersign/identity';
import { openMailer } from '@countersign/mail';
import { type Logger, outboxMetrics, type Registry } from '@countersign/process-kit';
import { type AuthConfig, linkBaseOf } from './config.ts';
import { deliverMail, deliverMembership, startCourier } from './flows/mail/deliver.ts';
import { outboxDepth } from './store/mail/outbox.ts';
import type { AuthDatabase } from './store/transaction.ts';

/** Starts the delivery of email and membership updates. @returns A function that stops it. */
export async function startOutgoing(
  config: AuthConfig,
  { db, logger, metrics }: Readonly<{ db: AuthDatabase; logger: Logger; metrics: Registry }>,
  callService: CallService,
): Promise<() => Promise<void>> {
  const mailer = openMailer(config, logger);
  const courier = startCourier({
    db,
    logger,
    deliver: {
      mail: deliverMail({
        db,
        mailer,
        linkBase: linkBaseOf(config),
        registration: { mode: config.AUTH_REGISTRATION },
      }),
      membership: deliverMembership(callService, db),
    },
    onResult: outboxMetrics(metrics, {
      name: 'auth_outbox',
      results: 'delivered, retried, parked (given up)',
      depth: () => outboxDepth(db),
      logger,
      gauges: {
        parked: { help: 'Emails that failed permanently and are kept for 30 days.', measure: ({ parked }) => parked },
      },
    }),
  });
  const stop = await courier.catch((error: unknown) => {
    mailer.close();
    throw error;
  });
  return async () => {
    await stop();
    mailer.close();
  };
}
