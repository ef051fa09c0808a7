import type { PasswordWeakness } from '../../domain/accounts/password-policy.ts';
import { errors } from '../../errors.ts';
import { type PageErrorCode, pageErrorCodes } from './error-codes.ts';

const weaknesses: Readonly<Record<PasswordWeakness, string>> = {
  short: 'Enter 12 characters or more.',
  common: 'This password is one of the most used. Choose another one.',
  regular: 'This password is too regular. Choose another one.',
  email: 'This password is too close to your email address. Choose another one.',
};

const titles = Object.fromEntries(pageErrorCodes.map((code) => [code, errors[code].title])) as Record<
  PageErrorCode,
  string
>;

/** Where the text of the API is for programs. */
const forPeople: Readonly<Partial<Record<PageErrorCode, string>>> = {
  already_member: 'You are already a member of this organization.',
  cross_site_refused: 'Forms of this site are not accepted here.',
  invalid_credentials: 'The email address or the password is incorrect.',
  not_found: 'There is no page at this address.',
  invalid_refresh_token: 'The session of this browser is invalid.',
  two_refresh_tokens: 'This browser has two sessions. Delete the cookies of this site.',
};

export const en = {
  language: 'English',
  languages: 'Language',
  problem: 'There is a problem',
  error: 'Error',
  email: 'Email address',
  password: 'Password',
  newPassword: 'New password',
  passwordHint: '12 characters or more. Several unrelated words are a good choice.',
  code: 'Code',
  codeHint: 'The six digits of your authenticator app, or a recovery code.',
  logIn: 'Log in',
  forgot: 'Forgot your password?',
  register: 'Create an account',
  chooseTenant: 'Choose an organization',
  chooseTenantLead: 'You belong to several organizations. Choose the one to log in to.',
  secondFactor: 'Enter your two-factor code',
  continue: 'Continue',
  registerLead: 'You get a mail with a link. There you choose your password.',
  sendLink: 'Send the link',
  verify: 'Confirm your email address',
  verifyLead: 'Choose a password to create your account.',
  createAccount: 'Create the account',
  reset: 'Choose a new password',
  resetLead: 'All your sessions will end. Then log in with the new password.',
  savePassword: 'Save the password',
  forgotTitle: 'Reset your password',
  forgotLead: 'You get a mail with a link. There you choose a new password.',
  invitation: 'Accept your invitation',
  invited: (tenant: string) => `You are invited to join ${tenant}.`,
  invitedNew: 'Choose a password to create your account.',
  invitedKnown: 'Enter the password of your account.',
  accept: 'Accept the invitation',
  logOut: 'Log out',
  logOutLead: 'This ends your session in this browser.',
  registerAgain: 'Register again',
  newLink: 'Get a new link',
  askInviter: 'Ask the person who invited you for a new invitation.',
  toLogIn: 'Go to the login page',
  notFound: 'Page not found',
  notices: {
    registered: 'Check your mail. If this address can register, a link is on its way.',
    reset_mailed: 'Check your mail. If this address has an account, a link is on its way.',
    account_created: 'Your account is ready. Log in with your password.',
    password_reset: 'Your password was changed. Log in with it.',
    logged_out: 'You are logged out.',
  },
  fields: {
    email: 'Enter an email address, such as ann@example.com.',
    password: 'Enter a password of at most 256 characters.',
    code: 'Enter a code of at most 64 characters.',
  },
  weaknesses,
  errors: { ...titles, ...forPeople } as Record<PageErrorCode, string>,
};

/** Everything that a page says, in one language. */
export type Texts = typeof en;
