import { isIP } from 'node:net';
import { tokenCharacters } from '@countersign/http1-client';
import { trimOws } from '@countersign/jwks';

/**
 * Which cookies a route forwards, in both directions.
 *
 * `cookies` has the names in the route's `forward.cookies`. `guarded` has, in lower case, the refresh cookie and every
 * name that any route forwards. A guarded cookie often grants a session, so only routes that name it forward it. Every
 * route forwards all other cookies.
 */
export type CookieRule = Readonly<{ cookies: ReadonlySet<string>; guarded: ReadonlySet<string> }>;

/** Removes the guarded cookies that the route does not forward. Undefined if none is left. */
export function filterCookies(cookie: string, rule: CookieRule): string | undefined {
  const pairs = cookie.split(';').filter((pair) => isAllowed(pair, rule));
  const left = trimOws(pairs.join(';'));
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
    if (!covers(trimOws(domain).toLowerCase(), host)) return false;
  }
  return true;
}

function covers(domain: string, host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  return domain === '' || name === domain || (name.endsWith(`.${domain}`) && isIP(name) === 0);
}

const tokens = new RegExp(`[${tokenCharacters}]+`, 'g');

/**
 * A route forwards a guarded cookie only under its exact name. A service may skip other bytes around a name, such as
 * U+00A0 or a quote, so a pair whose first token is a guarded name counts as that cookie. A service may also end a value
 * at a space (Python's http.cookies) or a comma (RFC 2965), so a later token counts too, if `=` follows it.
 */
function isAllowed(pair: string, { cookies, guarded }: CookieRule): boolean {
  const text = trimOws(pair.split(';', 1)[0] ?? '');
  const isNamed = text.includes('=') && cookies.has(text.slice(0, text.indexOf('=')));
  let isFirst = true;
  for (const { 0: name, index } of text.matchAll(tokens)) {
    const isName = isFirst ? !isNamed : /^[\t-\r ]*=/.test(text.slice(index + name.length));
    if (isName && guarded.has(name.toLowerCase())) return false;
    isFirst = false;
  }
  return true;
}
