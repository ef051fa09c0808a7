/** The pages that links in mails open, by what the link is for. */
export const linkPages = {
  email_verification: '/verify-email',
  password_reset: '/reset-password',
  invitation: '/accept-invitation',
} as const;
