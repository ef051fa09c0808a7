import { z } from 'zod';

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
