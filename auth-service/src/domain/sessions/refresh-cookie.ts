/**
 * The refresh token of a browser. The prefix makes browsers refuse it with a Domain, with another Path, or from a page
 * that is not secure, so that no neighbouring host can put one of its own in its place (RFC 6265bis section 4.1.3.2).
 */
const name = '__Host-rt';
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** @param token base64url, which needs no quoting. */
export const refreshCookie = (token: string, maxAgeSec: number): string =>
  `${name}=${token}; Max-Age=${maxAgeSec}; ${attributes}`;

export const clearedRefreshCookie = `${name}=; Max-Age=0; ${attributes}`;

/** Every value under the cookie's name; more than one is nothing that a browser sends. */
export function refreshCookiesIn(header: string | undefined): string[] {
  return (header ?? '').split(';').flatMap((pair) => {
    const separator = pair.indexOf('=');
    return separator >= 0 && pair.slice(0, separator).trim() === name ? [pair.slice(separator + 1).trim()] : [];
  });
}
