import { lineField } from '@countersign/service-kit';
import { z } from 'zod';
import { minPasswordLength } from '../domain/accounts/password-policy.ts';
import { maxPasswordLength } from '../domain/accounts/passwords.ts';

/** Refuses lone surrogates, which all encode to the same bytes. Allows NUL: passwords are hashed before bcrypt. */
export const secretText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((value) => value.isWellFormed(), 'contains invalid characters');

/** Also refuses NUL, which Postgres cannot store. */
export const text = (maxLength: number) =>
  secretText(maxLength).refine((value) => !value.includes('\0'), 'contains invalid characters');

/** How to return the refresh token. */
export const transport = z
  .enum(['body', 'cookie'])
  .default('body')
  .describe('`cookie` is for browsers: it sets the refresh token as a cookie that scripts cannot read.');

/** Our refresh tokens are shorter than this limit. */
export const refreshToken = z
  .string()
  .max(1024)
  .optional()
  .meta({ examples: ['r1.018f…'] });

export const emailAddress = text(254)
  .pipe(z.email())
  .meta({ examples: ['ann@acme.test'] });

export const newPassword = secretText(maxPasswordLength).meta({
  description: `${minPasswordLength} to ${maxPasswordLength} characters. Common passwords and the email address are refused.`,
  examples: ['correct horse battery staple'],
});

/** How other members of a tenant see the person. */
export const personName = lineField(100).meta({ examples: ['Ann Archer'] });

/** An emailed token. Any text is accepted here, so that a malformed token gets the error `invalid_token`. */
export const mailedToken = text(256).meta({ examples: ['The token from the link in the email.'] });

export const loginToken = text(64).meta({ examples: ['The token from the previous step.'] });

/** A code from the authenticator app, or a recovery code. */
export const secondFactorCode = text(64).meta({ examples: ['123456'] });

/** A tenant id. Any text is accepted here, so that a malformed id gets the same error as an unknown tenant. */
export const tenantIdField = text(64).meta({ examples: ['0197c2a0-0000-7000-8000-00000000000a'] });

/** The tenant roles in gateway.yaml. Administrators cannot assign an operator role. */
export const roleName = z.enum(['complainant', 'agent', 'admin']);
