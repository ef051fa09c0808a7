export const linkPages = {
  email_verification: '/verify-email',
  password_reset: '/reset-password',
  invitation: '/accept-invitation',
} as const;

export type FactorChange = 'enabled' | 'removed' | 'codes_renewed';

const factorChanges: Readonly<Record<FactorChange, readonly [subject: string, sentence: string]>> = {
  enabled: ['Two-factor authentication is on', 'Your Countersign account now asks for a code at each login.'],
  removed: ['Two-factor authentication is off', 'Your Countersign account no longer asks for a code at login.'],
  codes_renewed: [
    'Your recovery codes were replaced',
    'Your Countersign account has new recovery codes. The old ones no longer work.',
  ],
};

/** The page behind `link` asks before it uses the token, because mail scanners also open links. */
export type MailContent =
  | Readonly<{ kind: 'verification'; link: string; lifetimeSec: number }>
  | Readonly<{ kind: 'account_exists' }>
  | Readonly<{ kind: 'password_reset'; link: string; lifetimeSec: number }>
  | Readonly<{ kind: 'password_changed' }>
  | Readonly<{ kind: 'factor_changed'; change: FactorChange }>
  | Readonly<{ kind: 'invitation'; link: string; lifetimeSec: number; tenantName: string; role: string }>;

/** Builds a plain-text message, which cannot run code, load content or hide a link's target. */
export function mailText(content: MailContent): Readonly<{ subject: string; text: string }> {
  switch (content.kind) {
    case 'verification':
      return {
        subject: 'Confirm your email address',
        text: `Someone, probably you, requested a Countersign account with this email address.

To create the account, open this link within ${inWords(content.lifetimeSec)} and choose a password:

${content.link}

If you did not request an account, ignore this email. No account will be created.
`,
      };
    case 'account_exists':
      return {
        subject: 'You already have an account',
        text: `Someone, probably you, tried to create a Countersign account with this email address. You already have
an account, and it has not changed. If you forgot your password, choose a new one on the login page.
`,
      };
    case 'password_reset':
      return {
        subject: 'Choose a new password',
        text: `Someone, probably you, requested a new password for Countersign.

To choose one, open this link within ${inWords(content.lifetimeSec)}:

${content.link}

The link works once. Choosing a password ends all your sessions. If you did not request this, ignore this email. Your
password will not change.
`,
      };
    case 'password_changed':
      return {
        subject: 'Your password was changed',
        text: `Your Countersign password was just changed, and your other sessions have ended. If this was not you, choose a new
password on the login page immediately, and tell your organization's administrator.
`,
      };
    case 'factor_changed': {
      const [subject, sentence] = factorChanges[content.change];
      return {
        subject,
        text: `${sentence} Your other sessions have ended. If this was not you, choose a new password on the login
page immediately, and tell your organization's administrator.
`,
      };
    }
    case 'invitation':
      return {
        subject: `You are invited to ${oneLine(content.tenantName)}`,
        text: `You are invited to join ${oneLine(content.tenantName)} on Countersign as ${content.role}. To accept, open this link within ${inWords(content.lifetimeSec)}:

${content.link}

If you already have an account, enter its password. Otherwise choose a password.
`,
      };
  }
}

function inWords(sec: number): string {
  const hours = Math.round(sec / 3600);
  if (hours === 1) return 'an hour';
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}

/** Puts a tenant name on one line, because tenants choose it freely and it appears in headers. */
const oneLine = (name: string): string => name.replace(/\p{C}/gu, ' ').slice(0, 100);
