import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { trimOws } from '@countersign/jwks';
import type { KeyRing } from '../keys/key-ring.ts';

/**
 * A browser's refresh token. Because of the prefix, browsers refuse the cookie with a Domain, with another Path, or
 * from an insecure page, so that a sibling host cannot replace it (RFC 6265bis section 4.1.3.2).
 */
const refreshCookie = '__Host-rt';
const strict = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** Tells scripts that a session probably exists, so that a first visit does not begin with a refused refresh. */
const signedIn = '__Host-signed-in';
const readable = 'Path=/; Secure; SameSite=Strict';

/** @returns The refresh token cookie, and the cookie for scripts with the same lifetime. */
export const refreshCookies = (token: string, maxAgeSec: number): string[] => [
  `${refreshCookie}=${token}; Max-Age=${maxAgeSec}; ${strict}`,
  `${signedIn}=1; Max-Age=${maxAgeSec}; ${readable}`,
];

export const clearedRefreshCookie = `${refreshCookie}=; Max-Age=0; ${strict}`;
export const clearedSignedIn = `${signedIn}=; Max-Age=0; ${readable}`;

/** Returns all values of the cookie. Browsers send at most one. */
export const refreshCookiesIn = (header: string | undefined): string[] => cookieValues(header, refreshCookie);

/**
 * The browser session of the account pages, which exists before a login: a random value that only this browser has. It
 * ends when the browser closes. SameSite=Lax, because emailed links open these pages from another site.
 */
const pageCookie = '__Host-account';

export const newPageSession = (): string => randomBytes(32).toString('base64url');

export const pageSessionCookie = (session: string): string =>
  `${pageCookie}=${session}; Path=/; Secure; HttpOnly; SameSite=Lax`;

/** @returns undefined if there is no such cookie, or several: an attacker may have planted one. */
export function pageSessionIn(header: string | undefined): string | undefined {
  const [session, another] = cookieValues(header, pageCookie);
  return another === undefined && session !== undefined && /^[\w-]{43}$/.test(session) ? session : undefined;
}

/**
 * Returns a form's token. The cookie is the key, so the server stores nothing.
 *
 * @param action The path that the form posts to.
 * @param step The login token in the form, if any, which can then be used only in this browser. Forms of the account
 *   have the id of their session instead.
 */
export const formTokenOf = (session: string, action: string, step = ''): string =>
  createHmac('sha256', session)
    .update(JSON.stringify([action, step]))
    .digest('base64url');

export const isFormToken = (given: string, session: string, action: string, step?: string): boolean =>
  isSame(given, formTokenOf(session, action, step));

/**
 * Marks a browser that logged in to an account before. While logins are busy, it gives attempts at this account one of
 * the kept places in the hash queue. It grants nothing else, and contains no id.
 */
const knownCookie = '__Host-known';
const knownForSec = 90 * 24 * 3600;

/** The account, and when its password was set. A change of the password makes the cookie void. */
type KnownAccount = Readonly<{ email: string; passwordChangedAt: Date | undefined }>;

/** @param account.email The canonical address. */
export function knownBrowserCookie({ email, passwordChangedAt }: KnownAccount, keys: KeyRing, nowMs: number): string {
  const { id, bytes } = keys.current;
  const untilSec = Math.floor(nowMs / 1000) + knownForSec;
  const version = macOf(bytes, 'version', email, timeOf(passwordChangedAt));
  const mac = macOf(bytes, 'cookie', email, String(untilSec), version);
  return `${knownCookie}=${[id, untilSec, version, mac].join('.')}; Max-Age=${knownForSec}; ${strict}`;
}

/**
 * Reads the cookie of a request for one account.
 *
 * @param email The canonical address that the attempt names.
 * @returns undefined unless we issued the cookie for this account, and it has not expired. Otherwise a function that
 *   tells whether the password is still the same, which the caller knows only after a query.
 */
export function knownBrowserIn(
  header: string | undefined,
  email: string,
  keys: KeyRing,
  nowMs: number,
): ((passwordChangedAt: Date | undefined) => boolean) | undefined {
  const [value, another] = cookieValues(header, knownCookie);
  const [id = '', untilSec = '', version = '', mac = '', ...rest] = value?.split('.') ?? [];
  const key = keys.find(id);
  if (key === undefined || another !== undefined || rest.length > 0) return undefined;
  if (!isSame(mac, macOf(key, 'cookie', email, untilSec, version)) || Number(untilSec) * 1000 <= nowMs)
    return undefined;
  return (passwordChangedAt) => isSame(version, macOf(key, 'version', email, timeOf(passwordChangedAt)));
}

/** Marks the browser that began a registration. Confirming the address logs in only this browser. */
const registeringCookie = '__Host-registering';

export const registeringCookieOf = (email: string, { current }: KeyRing): string =>
  `${registeringCookie}=${current.id}.${macOf(current.bytes, 'registering', email)}; ${strict}`;

export const clearedRegisteringCookie = `${registeringCookie}=; Max-Age=0; ${strict}`;

/** Whether this browser began the registration of this address. */
export const beganRegistration = (header: string | undefined, email: string, keys: KeyRing): boolean =>
  cookieValues(header, registeringCookie).some((value) => {
    const [id = '', mac = ''] = value.split('.');
    const key = keys.find(id);
    return key !== undefined && isSame(mac, macOf(key, 'registering', email));
  });

const timeOf = (changedAt: Date | undefined): string => String(changedAt?.getTime());

/** Derives a key of its own, so that no other value signed with the ring's key can be a cookie. */
const macOf = (key: Uint8Array, ...parts: string[]): string =>
  createHmac('sha256', new Uint8Array(hkdfSync('sha256', key, '', 'countersign known browser v1', 32)))
    .update(JSON.stringify(parts))
    .digest('base64url');

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * Returns all values of a cookie in a `Cookie` header, byte for byte. The name must match exactly, because a browser
 * guarantees a `__Host-` prefix only for the exact name (RFC 6265bis section 4.1.3.2).
 */
export const cookieValues = (header: string | undefined, name: string): string[] =>
  (header ?? '').split(';').flatMap((pair) => {
    const text = trimOws(pair);
    return text.startsWith(`${name}=`) ? [text.slice(name.length + 1)] : [];
  });
