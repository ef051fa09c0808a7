import { createTransport } from 'nodemailer';
import { type Mailer, messageOf } from './mailer.ts';

// Idle timeout for a silent server. `signal` ends a connection to a server that keeps sending.
const connectionTimeoutMs = 10_000;
const silenceTimeoutMs = 15_000;

/**
 * Sends email through an SMTP server.
 *
 * @param options.url `smtps://user:password@host:465`, or `smtp://…` with STARTTLS.
 * @param options.requireTls Refuses to send if the server does not offer TLS, because others could read the link.
 */
export function smtpMailer(options: Readonly<{ url: string; from: string; requireTls: boolean }>): Mailer {
  const transport = createTransport({
    url: options.url,
    requireTLS: options.requireTls,
    connectionTimeout: connectionTimeoutMs,
    greetingTimeout: connectionTimeoutMs,
    socketTimeout: silenceTimeoutMs,
    // An email must not refer to a file or a URL.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(mail, signal) {
      await transport.sendMail({ ...messageOf(options.from, mail), signal });
    },
    close: () => transport.close(),
  };
}
