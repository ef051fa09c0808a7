import type { MailKind, MailText } from '../domain/mail-messages.ts';

export type Mail = MailText & Readonly<{ kind: MailKind; to: string; link: string | undefined }>;

/** Hands a mail over. It settles when somebody else is responsible for it. @throws Whatever kept it from being handed over. */
export type Mailer = Readonly<{ send(mail: Mail): Promise<void>; close(): void }>;
