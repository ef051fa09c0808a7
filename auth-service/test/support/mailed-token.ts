import type { ReceivedMail } from '@countersign/testing';

/**
 * The token of the link in an email.
 *
 * @throws Error if there is none.
 */
export function tokenIn(mail: ReceivedMail): string {
  const token = /\?token=([A-Za-z0-9_-]{43})\s/.exec(mail.text)?.[1];
  if (token === undefined) throw new Error(`no link in: ${mail.text}`);
  return token;
}
