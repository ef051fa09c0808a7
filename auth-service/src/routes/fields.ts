import { z } from 'zod';
import { minPasswordLength } from '../domain/accounts/password-policy.ts';
import { maxPasswordLength } from '../domain/accounts/passwords.ts';

/**
 * Refuses lone surrogates, which all encode to the same bytes. Allows NUL: the password is hashed before bcrypt could
 * stop at it.
 */
export const secretText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((value) => value.isWellFormed(), 'contains characters that are not text');

/** Refuses NUL, which Postgres cannot store in text. */
export const text = (maxLength: number) =>
  secretText(maxLength).refine((value) => !value.includes('\0'), 'contains characters that are not text');

/** How the client wants to receive its refresh token. */
export const transport = z
  .enum(['body', 'cookie'])
  .default('body')
  .describe('`cookie` is for browsers: the refresh token is set as a cookie that scripts cannot read.');

/** The limit is longer than our refresh tokens. */
export const refreshToken = z
  .string()
  .max(1024)
  .optional()
  .meta({ examples: ['r1.018f…'] });

/** An address that email can be sent to. */
export const emailAddress = text(254)
  .pipe(z.email())
  .meta({ examples: ['ann@acme.test'] });

export const newPassword = secretText(maxPasswordLength).meta({
  description: `${minPasswordLength} to ${maxPasswordLength} characters. Common passwords and the email address are refused.`,
  examples: ['correct horse battery staple'],
});

/** An emailed token. Malformed text is refused as an invalid token, not as a malformed request. */
export const mailedToken = text(256).meta({ examples: ['The token from the link in the email.'] });

export const loginToken = text(64).meta({ examples: ['The token from the previous step.'] });

/** A code of the authenticator app, or a recovery code. */
export const secondFactorCode = text(64).meta({ examples: ['123456'] });

/** The id of a tenant. Malformed text is refused as an unknown tenant. */
export const tenantIdField = text(64).meta({ examples: ['0197c2a0-0000-7000-8000-00000000000a'] });

/** Roles that an administrator can assign: the tenant roles in gateway.yaml, never an operator role. */
export const roleName = z.enum(['complainant', 'agent', 'admin']);
