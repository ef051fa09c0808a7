/**
 * Compares a proof's `htu` with what was asked: our own public origins and the raw path, before any rewriting. `Host` has no say, since
 * whoever sends the request writes it.
 *
 * Both sides are normalized after RFC 3986 sections 6.2.2 and 6.2.3, as RFC 9449 section 4.3 wants: scheme and host in lower case, no
 * default port, an empty path is `/`, hexadecimal digits of an escape in upper case, escaped unreserved characters written plainly. Query and
 * fragment do not count. Dot segments are not resolved: no request has any, so such an `htu` equals nothing.
 *
 * @param publicOrigins As `URL.origin` writes them.
 * @returns Whether `htu` names `path` at one of the origins. `path` is canonical, and still percent-encoded.
 */
export function createUriCheck(publicOrigins: readonly string[]): (htu: string, path: string) => boolean {
  const origins = new Set(publicOrigins);
  return (htu, path) => {
    for (const origin of origins) {
      if (htu.length === origin.length + path.length && htu.endsWith(path) && htu.startsWith(origin)) return true;
    }
    const [, origin = '', named = ''] = uri.exec(htu) ?? [];
    const normalized = originOf(origin);
    return normalized !== undefined && origins.has(normalized) && normalPath(named) === normalPath(path);
  };
}

// Scheme and authority without user; a path; and what does not count. Nothing that a URL parser would repair: no spaces, controls or `\`.
const uri = /^(https?:\/\/[A-Za-z0-9.:[\]-]+)((?:\/[!-"$->@-[\]-~]*)?)(?:\?[!-"$-~]*)?(?:#[!-~]*)?$/i;

function originOf(text: string): string | undefined {
  const url = text === '' ? null : URL.parse(text);
  return url === null ? undefined : url.origin;
}

const escaped = /%([0-9A-Fa-f]{2})/g;
const unreserved = /[A-Za-z0-9._~-]/;

function normalPath(path: string): string {
  if (path === '') return '/';
  return path.replace(escaped, (whole, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return unreserved.test(character) ? character : whole.toUpperCase();
  });
}
