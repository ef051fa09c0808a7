import { isIP } from 'node:net';

/** The cookie that is worth a session: it passes only where a route names it. */
const guardedCookies: ReadonlySet<string> = new Set(['__host-rt']);

/**
 * The `Cookie` header without what this route may not have.
 *
 * @param allowed Names as the route's `forward.cookies` has them.
 * @returns Undefined when nothing is left.
 */
export function passingCookies(cookie: string, allowed: ReadonlySet<string>): string | undefined {
  const pairs = cookie.split(';').filter((pair) => isAllowed(pair, allowed));
  const left = pairs.join(';').trim();
  return left === '' ? undefined : left;
}

const domainAttribute = /;[ \t]*domain[ \t]*=[ \t]*\.?([^;]*)/gi;

/**
 * Whether a service may set this cookie on this route: a guarded one only where the route names it, and none for a domain
 * that is not the client's own word for us (RFC 6265 section 5.3 step 6).
 *
 * @param setCookie A whole `Set-Cookie` value.
 * @param host As the client wrote it, in lower case; a port is not looked at.
 */
export function mayBeSet(setCookie: string, allowed: ReadonlySet<string>, host: string): boolean {
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
