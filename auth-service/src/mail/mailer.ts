import type { MailKind, MailText } from '../domain/mail/mail-messages.ts';

export type Mail = MailText & Readonly<{ kind: MailKind; to: string; link: string | undefined }>;

/**
 * Sends a mail. `send` resolves when the receiving server or the disk has accepted the mail. @throws The error that prevented it,
 * including an abort of `signal`.
 */
export type Mailer = Readonly<{ send(mail: Mail, signal: AbortSignal): Promise<void>; close(): void }>;
