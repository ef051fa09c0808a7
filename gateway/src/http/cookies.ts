import { isIP } from 'node:net';

/**
 * Which cookies a route forwards, in both directions.
 *
 * `cookies` has the names in the route's `forward.cookies`. `guarded` has, in lower case, the refresh cookie and every
 * name that any route forwards. A guarded cookie often grants a session, so only routes that name it forward it. Every
 * route forwards all other cookies.
 */
export type CookieRule = Readonly<{ cookies: ReadonlySet<string>; guarded: ReadonlySet<string> }>;

/**
 * Removes the guarded cookies that this route does not forward.
 *
 * @returns The `Cookie` header. Undefined if no cookie is left.
 */
export function filterCookies(cookie: string, rule: CookieRule): string | undefined {
  const pairs = cookie.split(';').filter((pair) => isAllowed(pair, rule));
  const left = pairs.join(';').trim();
  return left === '' ? undefined : left;
}

const domainAttribute = /;[ \t]*domain[ \t]*=[ \t]*\.?([^;]*)/gi;

/**
 * Whether a service may set this cookie on this route. Only a route that names a guarded cookie allows it. A `Domain`
 * must cover the host that the client requested (RFC 6265 section 5.3 step 6).
 *
 * @param setCookie A whole `Set-Cookie` value.
 * @param host As the client sent it, in lower case. The port is ignored.
 */
export function maySetCookie(setCookie: string, rule: CookieRule, host: string): boolean {
  if (!isAllowed(setCookie, rule)) return false;
  for (const [, domain = ''] of setCookie.matchAll(domainAttribute)) {
    if (!covers(domain.trim().toLowerCase(), host)) return false;
  }
  return true;
}

function covers(domain: string, host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  return domain === '' || name === domain || (name.endsWith(`.${domain}`) && isIP(name) === 0);
}

function isAllowed(pair: string, { cookies, guarded }: CookieRule): boolean {
  const [nameAndValue = ''] = pair.split(';', 1);
  const [rawName = ''] = nameAndValue.split('=', 1);
  const name = rawName.trim();
  return !guarded.has(name.toLowerCase()) || cookies.has(name);
}
