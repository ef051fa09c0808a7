import { cookieValues } from './cookie-values.ts';

/**
 * The refresh token of a browser. The prefix makes browsers refuse it with a Domain, with another Path, or from an
 * insecure page, so that a sibling host cannot replace it with its own (RFC 6265bis section 4.1.3.2).
 */
const name = '__Host-rt';
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** @param token base64url, which needs no quoting. */
export const refreshCookie = (token: string, maxAgeSec: number): string =>
  `${name}=${token}; Max-Age=${maxAgeSec}; ${attributes}`;

export const clearedRefreshCookie = `${name}=; Max-Age=0; ${attributes}`;

/** All values under the cookie's name; a browser sends at most one. */
export const refreshCookiesIn = (header: string | undefined): string[] => cookieValues(header, name);
