import type { Route } from '../config/config.ts';
import { AppError } from '../errors.ts';

/** The longest accepted request target, in bytes. RFC 9112 section 3 recommends at least 8000. */
export const maxRequestTargetBytes = 8192;

type Flaw = readonly [pattern: RegExp, reason: string];

const pathFlaws: readonly Flaw[] = [
  // Everything except RFC 3986's pchar without `;`. Some servers cut off `;` parameters before they match a path
  // (CVE-2026-73551).
  [/[^A-Za-z0-9._~!$&'()*+,=:@%/-]/, 'a character that a path may not contain'],
  [/%(?![0-9A-Fa-f]{2})/, 'a bad percent-encoding'],
  [/\/\//, 'an empty segment'],
  [/\/\.\.?(?:\/|$)/, 'a dot segment'],
  [/%(?:[01]|7f)/i, 'an encoded control character'],
  [/%(?:2f|5c)/i, 'an encoded slash or backslash'],
  // Decoding would turn this into a path parameter.
  [/%3b/i, 'an encoded semicolon'],
  [/%(?:2[de]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i, 'an encoded unreserved character'],
];

const queryFlaws: readonly Flaw[] = [
  // Excludes `'`, which WHATWG URLs write as %27 in a query. Includes `[` and `]`, which browsers do not escape.
  [/[^A-Za-z0-9._~!$&()*+,=:@;?[\]%/-]/, 'a character that a query may not contain'],
  [/%(?![0-9A-Fa-f]{2})/, 'a bad percent-encoding'],
  // WHATWG URLs drop a lone `?`, so the service's URL would differ from ours.
  [/^\?$/, 'an empty query'],
  [/%00/, 'an encoded NUL'],
];

// Matches nearly every path: segments of letters, digits and a few other characters, none of which begins with a dot.
const usualPath = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+$/;

/** @throws AppError `invalid_target` unless the path is canonical. */
export function checkPath(path: string): void {
  if (usualPath.test(path)) return;
  refuseFlaws(path, pathFlaws);
  if (!path.includes('%')) return;
  // A lax decoder would read overlong forms such as %c0%ae as dots.
  try {
    decodeURIComponent(path);
  } catch (cause) {
    throw invalidTarget('escapes that are not UTF-8', cause);
  }
}

/** @throws AppError `invalid_target` unless the query is canonical. */
export const checkQuery = (query: string): void => refuseFlaws(query, queryFlaws, { part: 'query' });

function refuseFlaws(text: string, flaws: readonly Flaw[], detail?: Readonly<{ part: 'query' }>): void {
  for (const [pattern, reason] of flaws) if (pattern.test(text)) throw invalidTarget(reason, undefined, detail);
}

export function invalidTarget(reason: string, cause?: unknown, detail?: Readonly<{ part: 'query' }>): AppError {
  return new AppError('invalid_target', { detail: { reason, ...detail }, cause });
}

/** Replaces whole segments: `/v1` never changes `/v10`. The result of a canonical path is canonical. */
export function rewritePath(path: string, rewrite: Route['rewrite']): string {
  if (rewrite === undefined) return path;
  const from = rewrite.from === '/' ? '' : rewrite.from;
  if (path !== from && !path.startsWith(`${from}/`)) return path;
  const to = rewrite.to === '/' ? '' : rewrite.to;
  return to + path.slice(from.length) || '/';
}
