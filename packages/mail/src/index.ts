export { mailConfig, mailProblems, openMailer } from './config.ts';
export type { Mail, Mailer } from './mailer.ts';
export { smtpMailer } from './smtp-mailer.ts';
