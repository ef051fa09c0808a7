import { z } from 'zod';
import { minPasswordLength } from '../domain/accounts/password-policy.ts';
import { maxPasswordLength } from '../domain/accounts/passwords.ts';

/** No half of a surrogate pair, of which all hash alike. NUL is welcome: it is hashed before anything could stop at it. */
export const secretText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((value) => value.isWellFormed(), 'has characters that are not text');

/** And no NUL, which Postgres takes in no text. */
export const text = (maxLength: number) =>
  secretText(maxLength).refine((value) => !value.includes('\0'), 'has characters that are not text');

/** How the client wants to carry its refresh token. */
export const transport = z
  .enum(['body', 'cookie'])
  .default('body')
  .describe('`cookie`: for browsers; the refresh token goes into a cookie that scripts cannot read.');

/** Longer than ours ever are. */
export const refreshToken = z.string().max(1024).optional();

/** An address that mail can be sent to. */
export const emailAddress = text(254).pipe(z.email());

export const newPassword = secretText(maxPasswordLength).describe(
  `${minPasswordLength} to ${maxPasswordLength} characters; not one of the most used, and not the e-mail.`,
);

/** A token that came by mail; whatever is not one is no malformed request, but a wrong token. */
export const mailedToken = text(256);

/** Roles that an administrator can give: what gateway.yaml knows, and no role of an operator that it may come to know. */
export const roleName = z.enum(['complainant', 'agent', 'admin']);
