/** A plain-text email. `kind` names it in logs and file names. The file mailer logs `link`. */
export type Mail = Readonly<{ kind: string; to: string; subject: string; text: string; link: string | undefined }>;

/**
 * Sends email. `send` resolves when the receiving server or the disk has accepted it.
 *
 * @throws The error that prevented this, including an abort of `signal`.
 */
export type Mailer = Readonly<{ send(mail: Mail, signal: AbortSignal): Promise<void>; close(): void }>;
