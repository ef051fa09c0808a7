import { cookieValues } from './cookie-values.ts';

/**
 * The refresh token of a browser. The prefix makes browsers refuse it with a Domain, with another Path, or from an
 * insecure page, so that a sibling host cannot replace it with its own (RFC 6265bis section 4.1.3.2).
 */
const name = '__Host-rt';
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** Tells scripts that a session probably exists. Without it, every first visit would begin with a refused refresh. */
const signedIn = '__Host-signed-in';
const readable = 'Path=/; Secure; SameSite=Strict';

/**
 * @param token base64url, which needs no quoting.
 * @returns The cookie with the refresh token, and the cookie for scripts with the same lifetime.
 */
export const refreshCookies = (token: string, maxAgeSec: number): string[] => [
  `${name}=${token}; Max-Age=${maxAgeSec}; ${attributes}`,
  `${signedIn}=1; Max-Age=${maxAgeSec}; ${readable}`,
];

export const clearedRefreshCookie = `${name}=; Max-Age=0; ${attributes}`;
export const clearedSignedIn = `${signedIn}=; Max-Age=0; ${readable}`;

/** All values of the cookie; a browser sends at most one. */
export const refreshCookiesIn = (header: string | undefined): string[] => cookieValues(header, name);
