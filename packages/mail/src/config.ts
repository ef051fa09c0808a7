import { join } from 'node:path';
import type { Logger } from '@countersign/process-kit';
import { z } from 'zod';
import { fileMailer } from './file-mailer.ts';
import type { Mailer } from './mailer.ts';
import { smtpMailer } from './smtp-mailer.ts';

/** Variables for every service that sends email. */
export const mailConfig = {
  /** The SMTP server. If unset, emails are written to files under COUNTERSIGN_HOME. */
  AUTH_SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
  AUTH_MAIL_FROM: z.string().min(3).default('Countersign <no-reply@countersign.invalid>'),
};

type MailConfig = z.infer<z.ZodObject<typeof mailConfig>> & Readonly<{ NODE_ENV: string; COUNTERSIGN_HOME: string }>;

/** Returns the problems of a production service without a mail server or sender address. */
export function mailProblems(config: MailConfig): string[] {
  if (config.NODE_ENV !== 'production') return [];
  const problems: string[] = [];
  if (config.AUTH_SMTP_URL === undefined) problems.push('AUTH_SMTP_URL: is required in production');
  if (config.AUTH_MAIL_FROM.includes('countersign.invalid')) problems.push('AUTH_MAIL_FROM: is required in production');
  return problems;
}

/** Opens the configured mailer: the SMTP server, or files under COUNTERSIGN_HOME. */
export function openMailer(config: MailConfig, logger: Logger): Mailer {
  const { AUTH_SMTP_URL: url, AUTH_MAIL_FROM: from } = config;
  if (url !== undefined) return smtpMailer({ url, from, requireTls: needsTls(url, config.NODE_ENV) });
  return fileMailer({ directory: join(config.COUNTERSIGN_HOME, 'mail'), from, logger });
}

/** Requires TLS in production, except on localhost, where traffic stays on the machine. */
function needsTls(url: string, environment: string): boolean {
  const { hostname } = new URL(url);
  return environment === 'production' && !['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
}
