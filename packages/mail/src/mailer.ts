/** A plain-text email. `kind` names it in logs and file names. The file mailer logs `link`. */
export type Mail = Readonly<{ kind: string; to: string; subject: string; text: string; link: string | undefined }> &
  Readonly<{
    /** The left part of the Message-ID, so that an email that is sent twice has one. Random by default. */
    id?: string;
    /** A URL that unsubscribes when an email program sends it a POST (RFC 8058). */
    unsubscribe?: string | undefined;
  }>;

/**
 * Sends email. `send` resolves when the receiving server or the disk has accepted it.
 *
 * @throws The error that prevented this, including an abort of `signal`.
 */
export type Mailer = Readonly<{ send(mail: Mail, signal: AbortSignal): Promise<void>; close(): void }>;

/** Returns the email as nodemailer takes it. */
export function messageOf(from: string, { to, subject, text, id, unsubscribe }: Mail) {
  const domain = from.slice(from.lastIndexOf('@') + 1).replace('>', '');
  return {
    from,
    to: { name: '', address: to },
    subject,
    text,
    ...(id !== undefined && { messageId: `<${id}@${domain}>` }),
    headers: {
      'Auto-Submitted': 'auto-generated',
      ...(unsubscribe !== undefined && {
        'List-Unsubscribe': `<${unsubscribe}>`,
        'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
      }),
    },
  };
}
