import { isIP } from 'node:net';

/** The refresh cookie is worth a session: it passes only where a route names it. */
const guardedCookies: ReadonlySet<string> = new Set(['__host-rt']);

/**
 * Removes the guarded cookies that this route does not forward.
 *
 * @param allowed Names from the route's `forward.cookies`.
 * @returns The `Cookie` header; undefined if nothing is left.
 */
export function filterCookies(cookie: string, allowed: ReadonlySet<string>): string | undefined {
  const pairs = cookie.split(';').filter((pair) => isAllowed(pair, allowed));
  const left = pairs.join(';').trim();
  return left === '' ? undefined : left;
}

const domainAttribute = /;[ \t]*domain[ \t]*=[ \t]*\.?([^;]*)/gi;

/**
 * Whether a service may set this cookie on this route. A guarded cookie needs a route that names it. A `Domain` must
 * cover the host that the client requested (RFC 6265 section 5.3 step 6).
 *
 * @param setCookie A whole `Set-Cookie` value.
 * @param host As the client sent it, in lower case; the port is ignored.
 */
export function maySetCookie(setCookie: string, allowed: ReadonlySet<string>, host: string): boolean {
  if (!isAllowed(setCookie, allowed)) return false;
  for (const [, domain = ''] of setCookie.matchAll(domainAttribute)) {
    if (!covers(domain.trim().toLowerCase(), host)) return false;
  }
  return true;
}

function covers(domain: string, host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  return domain === '' || name === domain || (name.endsWith(`.${domain}`) && isIP(name) === 0);
}

function isAllowed(pair: string, allowed: ReadonlySet<string>): boolean {
  const [nameAndValue = ''] = pair.split(';', 1);
  const [rawName = ''] = nameAndValue.split('=', 1);
  const name = rawName.trim();
  return !guardedCookies.has(name.toLowerCase()) || allowed.has(name);
}
