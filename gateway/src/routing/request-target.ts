import type { Route } from '../config/config.ts';
import { AppError } from '../errors.ts';

/** A request target in canonical form. These bytes are matched, signed and sent. */
export type RequestTarget = Readonly<{
  /** Starts with `/`; still percent-encoded. */
  path: string;
  /** Empty, or `?` and at least one character. */
  query: string;
}>;

/** Longest accepted target, in bytes. RFC 9112 section 3 recommends at least 8000. */
export const maxTargetBytes = 8192;

type Flaw = readonly [pattern: RegExp, reason: string];

/** What no canonical path has. */
const pathFlaws: readonly Flaw[] = [
  // Allowed is the pchar of RFC 3986 without `;`: some servers cut off its path parameters before they match (CVE-2026-73551).
  [/[^A-Za-z0-9._~!$&'()*+,=:@%/-]/, 'a character that is not allowed in a path'],
  [/%(?![0-9A-Fa-f]{2})/, 'a bad percent-encoding'],
  [/\/\//, 'an empty segment'],
  [/\/\.\.?(?:\/|$)/, 'a dot segment'],
  [/%(?:[01]|7f)/i, 'an encoded control character'],
  [/%(?:2f|5c)/i, 'an encoded slash or backslash'],
  // A decoded `;` would be a path parameter again.
  [/%3b/i, 'an encoded semicolon'],
  [/%(?:2[de]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i, 'an encoded unreserved character'],
];

/** What no canonical query has. */
const queryFlaws: readonly Flaw[] = [
  // Without `'`, which WHATWG writes as %27 in a query; with `[` and `]`, which browsers do not escape.
  [/[^A-Za-z0-9._~!$&()*+,=:@;?[\]%/-]/, 'a character that is not allowed in a query'],
  [/%(?![0-9A-Fa-f]{2})/, 'a bad percent-encoding'],
  // WHATWG drops a lone `?`, so the service's URL would differ from ours.
  [/^\?$/, 'an empty query'],
  [/%00/, 'an encoded NUL'],
];

/**
 * Parses a request target, or refuses it. An accepted target equals its WHATWG URL form, so a service that sees only a
 * URL object reads the same bytes. No later decoder can find another path in it. Nothing is normalized: a target that
 * is not canonical is refused. Linear in its length.
 *
 * @param raw The request line's target, as received.
 * @throws AppError `invalid_target` (with the reason for the log), `uri_too_long`.
 * @see DESIGN section 5, "Targets refused"; CVE-2019-9901, CVE-2021-29492, CVE-2026-33494
 */
export function parseTarget(raw: string): RequestTarget {
  if (raw.length > maxTargetBytes) throw new AppError('uri_too_long');
  if (!raw.startsWith('/')) throw refused('does not begin with a slash');

  const mark = raw.indexOf('?');
  const path = mark === -1 ? raw : raw.slice(0, mark);
  const query = mark === -1 ? '' : raw.slice(mark);
  if (!usualPath.test(path)) checkPath(path);
  if (query !== '') refuseFlaws(query, queryFlaws);
  return { path, query };
}

// Segments of letters, digits and a few marks that do not begin with a dot. Most paths are of this form.
const usualPath = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+$/;

function checkPath(path: string): void {
  refuseFlaws(path, pathFlaws);
  if (!path.includes('%')) return;
  // A lax decoder reads overlong forms such as %c0%ae as dots.
  try {
    decodeURIComponent(path);
  } catch (cause) {
    throw refused('escapes that are not UTF-8', cause);
  }
}

function refuseFlaws(text: string, flaws: readonly Flaw[]): void {
  for (const [pattern, reason] of flaws) if (pattern.test(text)) throw refused(reason);
}

function refused(reason: string, cause?: unknown): AppError {
  return new AppError('invalid_target', { detail: { reason }, cause });
}

/**
 * Replaces the prefix of a path for the upstream, by whole segments: `/v1` never changes `/v10`.
 *
 * @param path A canonical path that matched the route. The result is canonical too.
 */
export function rewritePath(path: string, rewrite: Route['rewrite']): string {
  if (rewrite === undefined) return path;
  const from = rewrite.from === '/' ? '' : rewrite.from;
  if (path !== from && !path.startsWith(`${from}/`)) return path;
  const to = rewrite.to === '/' ? '' : rewrite.to;
  return to + path.slice(from.length) || '/';
}
