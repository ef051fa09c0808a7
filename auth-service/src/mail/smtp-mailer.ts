import { createTransport } from 'nodemailer';
import type { Mailer } from './mailer.ts';

// For a server that says nothing; one that goes on saying something is left when the signal says so.
const connectionTimeoutMs = 10_000;
const silenceTimeoutMs = 15_000;

/**
 * Sends through an SMTP server.
 *
 * @param options.url `smtps://user:password@host:465`, or `smtp://…` that is upgraded by STARTTLS.
 * @param options.requireTls Refuses to send where the server offers no TLS: a link in the clear is anybody's.
 */
export function smtpMailer(options: Readonly<{ url: string; from: string; requireTls: boolean }>): Mailer {
  const transport = createTransport({
    url: options.url,
    requireTLS: options.requireTls,
    connectionTimeout: connectionTimeoutMs,
    greetingTimeout: connectionTimeoutMs,
    socketTimeout: silenceTimeoutMs,
    // What a mail is made of is in the call: nothing in it may name a file or a URL.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send({ to, subject, text }, signal) {
      await transport.sendMail({ from: options.from, to: { name: '', address: to }, subject, text, signal });
    },
    close: () => transport.close(),
  };
}
