import type { MailKind, MailText } from '../domain/mail/mail-messages.ts';

export type Mail = MailText & Readonly<{ kind: MailKind; to: string; link: string | undefined }>;

/**
 * Hands a mail over. It settles when somebody else is responsible for it. @throws Whatever kept it from being handed over, `signal`
 * included.
 */
export type Mailer = Readonly<{ send(mail: Mail, signal: AbortSignal): Promise<void>; close(): void }>;
