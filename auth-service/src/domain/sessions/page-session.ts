import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { cookieValues } from './cookie-values.ts';

/**
 * The browser session of the account pages, which exists before a login: a random value that only this browser has. It
 * ends when the browser closes. SameSite=Lax, because emailed links open these pages from another site.
 */
const name = '__Host-account';
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Lax';

export const newPageSession = (): string => randomBytes(32).toString('base64url');

export const pageSessionCookie = (session: string): string => `${name}=${session}; ${attributes}`;

/** @returns undefined if there is no such cookie, or several: an attacker may have planted one. */
export function pageSessionIn(header: string | undefined): string | undefined {
  const [session, another] = cookieValues(header, name);
  return another === undefined && session !== undefined && /^[\w-]{43}$/.test(session) ? session : undefined;
}

/**
 * Returns a form's token. The cookie is the key, so the server stores nothing.
 *
 * @param action The path that the form posts to.
 * @param step The login token in the form, if any, which can then be used only in this browser.
 */
export const formTokenOf = (session: string, action: string, step = ''): string =>
  createHmac('sha256', session)
    .update(JSON.stringify([action, step]))
    .digest('base64url');

export function isFormToken(given: string, session: string, action: string, step?: string): boolean {
  const [a, b] = [given, formTokenOf(session, action, step)].map((text) => Buffer.from(text));
  return a !== undefined && b !== undefined && a.length === b.length && timingSafeEqual(a, b);
}
