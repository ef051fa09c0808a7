/**
 * Creates a function that compares a proof's `htu` with the public origins and the request's path, before any
 * rewriting. `Host` is ignored, because the client controls it.
 *
 * Both sides are normalized (RFC 9449 section 4.3, RFC 3986 sections 6.2.2 and 6.2.3): lower-case scheme and host, no
 * default port, `/` for an empty path, upper-case percent-encoding, decoded unreserved characters. The query and the
 * fragment are ignored. Dot segments are not resolved. Canonical request paths have none, so an `htu` with dot
 * segments never matches.
 *
 * @param publicOrigins In the form of `URL.origin`.
 * @returns A function that tells whether `htu` names `path` at one of the origins. `path` is canonical and
 *   percent-encoded.
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

// Scheme, authority without user info, path, query, fragment. Refuses characters that a URL parser would change.
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
