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

const unreserved = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~';
// The pchar of RFC 3986 without `;`: some servers cut off its path parameters before they match (CVE-2026-73551).
const pathBytes = tableOf(`${unreserved}/!$&'()*+,=:@`);
// Without `'`, which WHATWG writes as %27 in a query; with `[` and `]`, which browsers do not escape.
const queryBytes = tableOf(`${unreserved}/!$&()*+,=:@;?[]`);
const unreservedBytes = tableOf(unreserved);

const slash = 0x2f;
const dot = 0x2e;
const percent = 0x25;

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
  if (raw.charCodeAt(0) !== slash) throw refused('does not begin with a slash');

  const mark = raw.indexOf('?');
  const path = mark === -1 ? raw : raw.slice(0, mark);
  const query = mark === -1 ? '' : raw.slice(mark);
  checkPath(path);
  if (query !== '') checkQuery(query);
  return { path, query };
}

// Segments of letters, digits and a few marks that do not begin with a dot. Most paths are of this form, and one regular expression is
// faster than a look at each character.
const usualPath = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+$/;

function checkPath(path: string): void {
  if (usualPath.test(path)) return;
  let segmentStart = 1;
  let escaped = false;
  for (let at = 1; at < path.length; at += 1) {
    const byte = path.charCodeAt(at);
    if (byte === percent) {
      checkPathEscape(escapeAt(path, at));
      escaped = true;
      at += 2;
    } else if (pathBytes[byte] !== 1) {
      throw refused('a character that is not allowed in a path');
    } else if (byte === slash) {
      if (at === segmentStart) throw refused('an empty segment');
      refuseDots(path, segmentStart, at);
      segmentStart = at + 1;
    }
  }
  refuseDots(path, segmentStart, path.length);
  if (escaped) refuseBrokenUtf8(path);
}

function refuseDots(path: string, start: number, end: number): void {
  const length = end - start;
  if (length < 1 || length > 2 || path.charCodeAt(start) !== dot) return;
  if (length === 1 || path.charCodeAt(start + 1) === dot) throw refused('a dot segment');
}

function checkPathEscape(byte: number): void {
  if (byte < 0x20 || byte === 0x7f) throw refused('an encoded control character');
  if (byte === slash || byte === 0x5c) throw refused('an encoded slash or backslash');
  // A decoded `;` would be a path parameter again.
  if (byte === 0x3b) throw refused('an encoded semicolon');
  if (unreservedBytes[byte] === 1) throw refused('an encoded unreserved character');
}

// A lax decoder reads overlong forms such as %c0%ae as dots.
function refuseBrokenUtf8(path: string): void {
  try {
    decodeURIComponent(path);
  } catch (cause) {
    throw refused('escapes that are not UTF-8', cause);
  }
}

function checkQuery(query: string): void {
  // WHATWG drops a lone `?`, so the service's URL would differ from ours.
  if (query.length === 1) throw refused('an empty query');
  for (let at = 1; at < query.length; at += 1) {
    const byte = query.charCodeAt(at);
    if (byte === percent) {
      if (escapeAt(query, at) === 0) throw refused('an encoded NUL');
      at += 2;
    } else if (queryBytes[byte] !== 1) {
      throw refused('a character that is not allowed in a query');
    }
  }
}

/** Decodes the `%XX` at this position. */
function escapeAt(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at + 1));
  const low = hexDigit(text.charCodeAt(at + 2));
  if (high === -1 || low === -1) throw refused('a bad percent-encoding');
  return high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(128);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
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
