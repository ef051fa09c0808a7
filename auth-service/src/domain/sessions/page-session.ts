import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { cookieValues } from './cookie-values.ts';

/**
 * The session of the account pages, independent of a login: a random value that only this browser has. It ends when the
 * browser closes. SameSite=Lax, because emailed links open pages from another site.
 */
const name = '__Host-account';
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Lax';

export const newPageSession = (): string => randomBytes(32).toString('base64url');

export const pageSessionCookie = (session: string): string => `${name}=${session}; ${attributes}`;

/** @returns undefined when there is none, or several: one of them may have been planted. */
export function pageSessionIn(header: string | undefined): string | undefined {
  const [session, another] = cookieValues(header, name);
  return another === undefined && session !== undefined && /^[\w-]{43}$/.test(session) ? session : undefined;
}

/**
 * The token of one form in one session. It is keyed by the cookie, so the server stores nothing.
 *
 * @param action The path that the form posts to.
 * @param step The login token in the form, if any. Binding it prevents its use in another browser.
 */
export const formTokenOf = (session: string, action: string, step = ''): string =>
  createHmac('sha256', session)
    .update(JSON.stringify([action, step]))
    .digest('base64url');

export function isFormToken(given: string, session: string, action: string, step?: string): boolean {
  const [a, b] = [given, formTokenOf(session, action, step)].map((text) => Buffer.from(text));
  return a !== undefined && b !== undefined && a.length === b.length && timingSafeEqual(a, b);
}
