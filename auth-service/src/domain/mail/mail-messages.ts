/** The pages that emailed links open, by purpose. */
export const linkPages = {
  email_verification: '/verify-email',
  password_reset: '/reset-password',
  invitation: '/accept-invitation',
} as const;

/**
 * The content of an email. `link` opens a page that asks before it uses the token, because mail scanners open links
 * too.
 */
export type MailContent =
  | Readonly<{ kind: 'verification'; link: string; lifetimeSec: number }>
  | Readonly<{ kind: 'account_exists' }>
  | Readonly<{ kind: 'password_reset'; link: string; lifetimeSec: number }>
  | Readonly<{ kind: 'password_changed' }>
  | Readonly<{ kind: 'invitation'; link: string; lifetimeSec: number; tenantName: string; role: string }>;

export type MailText = Readonly<{ subject: string; text: string }>;

/** Builds plain text only, so that a message cannot run code, load content or hide the target of a link. */
export function mailText(content: MailContent): MailText {
  switch (content.kind) {
    case 'verification':
      return {
        subject: 'Confirm your e-mail address',
        text: `Someone, probably you, asked for an account with this e-mail address.

To create it, open this link within ${inWords(content.lifetimeSec)} and choose a password:

${content.link}

If you did not ask for an account, ignore this e-mail: without the link, no account is created.
`,
      };
    case 'account_exists':
      return {
        subject: 'You already have an account',
        text: `Someone, probably you, tried to make an account with this e-mail address. There is one already, and nothing about it
has changed. If you do not remember its password, ask for a new one on the login page.
`,
      };
    case 'password_reset':
      return {
        subject: 'Choose a new password',
        text: `Someone, probably you, asked for a new password. To choose one, open this link within ${inWords(content.lifetimeSec)}:

${content.link}

It works once, and ends every session of your account. If you did not ask, do nothing: your password stays as it is.
`,
      };
    case 'password_changed':
      return {
        subject: 'Your password was changed',
        text: `The password of your account was changed just now, and your other sessions have ended. If it was not you, choose a new
password on the login page at once, and tell the administrator of your organisation.
`,
      };
    case 'invitation':
      return {
        subject: `You are invited to ${oneLine(content.tenantName)}`,
        text: `You are invited to join ${oneLine(content.tenantName)} as ${content.role}. To accept, open this link within ${inWords(content.lifetimeSec)}:

${content.link}

If you have an account you will be asked for its password, otherwise to choose one.
`,
      };
  }
}

function inWords(sec: number): string {
  const hours = Math.round(sec / 3600);
  if (hours === 1) return 'an hour';
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}

/** Shortens a tenant name to one line: tenants choose it freely, and it appears in headers and text. */
const oneLine = (name: string): string => name.replace(/\p{C}/gu, ' ').slice(0, 100);
