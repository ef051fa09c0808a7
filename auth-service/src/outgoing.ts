import { join } from 'node:path';
import { serviceCaller } from '@countersign/identity';
import { gatewayInternalUrl, type Logger, type Registry } from '@countersign/service-kit';
import { type AuthConfig, linkBaseOf } from './config.ts';
import { startCourier } from './flows/mail/deliver.ts';
import { deliverMail } from './flows/mail/deliver-mail.ts';
import { deliverMembership } from './flows/mail/deliver-membership.ts';
import { outboxMetrics } from './flows/mail/outbox-metrics.ts';
import { fileMailer } from './mail/file-mailer.ts';
import type { Mailer } from './mail/mailer.ts';
import { smtpMailer } from './mail/smtp-mailer.ts';
import type { AuthDatabase } from './store/database.ts';

/** Starts the delivery of mail and membership updates. @returns Stops it. */
export async function startOutgoing(
  config: AuthConfig,
  { db, logger, metrics }: Readonly<{ db: AuthDatabase; logger: Logger; metrics: Registry }>,
): Promise<() => Promise<void>> {
  const mailer = mailerOf(config, logger);
  const callService = serviceCaller({ gatewayUrl: gatewayInternalUrl(config), key: config.SERVICE_KEY });
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
      membership: deliverMembership(callService),
    },
    onResult: outboxMetrics(metrics, db),
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

function mailerOf(config: AuthConfig, logger: Logger): Mailer {
  const { AUTH_SMTP_URL: url, AUTH_MAIL_FROM: from } = config;
  if (url !== undefined) return smtpMailer({ url, from, requireTls: needsTls(url, config.NODE_ENV) });
  return fileMailer({ directory: join(config.COUNTERSIGN_HOME, 'mail'), from, logger });
}

/** Requires TLS in production, except on localhost, where traffic stays on the machine and a mail catcher has no TLS. */
function needsTls(url: string, environment: AuthConfig['NODE_ENV']): boolean {
  const { hostname } = new URL(url);
  return environment === 'production' && !['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
}
