import { cookieValues } from './cookie-values.ts';

/**
 * A browser's refresh token. Because of the prefix, browsers refuse the cookie with a Domain, with another Path, or
 * from an insecure page, so that a sibling host cannot replace it (RFC 6265bis section 4.1.3.2).
 */
const name = '__Host-rt';
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** Tells scripts that a session probably exists, so that a first visit does not begin with a refused refresh. */
const signedIn = '__Host-signed-in';
const readable = 'Path=/; Secure; SameSite=Strict';

/** @returns The refresh token cookie, and the cookie for scripts with the same lifetime. */
export const refreshCookies = (token: string, maxAgeSec: number): string[] => [
  `${name}=${token}; Max-Age=${maxAgeSec}; ${attributes}`,
  `${signedIn}=1; Max-Age=${maxAgeSec}; ${readable}`,
];

export const clearedRefreshCookie = `${name}=; Max-Age=0; ${attributes}`;
export const clearedSignedIn = `${signedIn}=; Max-Age=0; ${readable}`;

/** Returns all values of the cookie. Browsers send at most one. */
export const refreshCookiesIn = (header: string | undefined): string[] => cookieValues(header, name);
