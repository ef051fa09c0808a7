/** The cookie that is worth a session: it passes only where a route names it. */
const guardedCookies: ReadonlySet<string> = new Set(['__host-rt']);

/**
 * The `Cookie` header without what this route may not have.
 *
 * @param allowed Names as the route's `forward.cookies` has them.
 * @returns Undefined when nothing is left.
 */
export function passingCookies(cookie: string, allowed: ReadonlySet<string>): string | undefined {
  const pairs = cookie.split(';').filter((pair) => mayPass(pair, allowed));
  const left = pairs.join(';').trim();
  return left === '' ? undefined : left;
}

/** Whether a service may set this cookie on this route. @param setCookie A whole `Set-Cookie` value. */
export function mayPass(setCookie: string, allowed: ReadonlySet<string>): boolean {
  const [pair = ''] = setCookie.split(';', 1);
  const [rawName = ''] = pair.split('=', 1);
  const name = rawName.trim();
  return !guardedCookies.has(name.toLowerCase()) || allowed.has(name);
}
