/**
 * Parses a JSON object and refuses what parsers read in different ways, at any depth: repeated names (RFC 8725 section
 * 2.4, RFC 7519 section 4), and numbers and strings outside of RFC 7493 sections 2.1 and 2.2. `JSON.parse` keeps the
 * last of two values, and other parsers the first. It reads `1e400` as Infinity, and other parsers refuse it or replace
 * half of a surrogate pair, so that two names become one.
 *
 * @param bytes UTF-8. Invalid sequences are refused, never replaced.
 * @throws SyntaxError or TypeError if the bytes are not such an object.
 */
export function parseStrictObject(bytes: Uint8Array): Record<string, unknown> {
  const text = utf8.decode(bytes);
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('not a JSON object');
  // One key for each different name, so more names than keys mean that one is repeated.
  if (namesIn(text) !== keysIn(value)) throw new SyntaxError('a name is repeated');
  return value as Record<string, unknown>;
}

// `ignoreBOM` keeps a byte order mark in the text, so that JSON.parse refuses it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const strings = /"(?:[^"\\]|\\.)*"/g;

/** @param text Valid JSON, so a colon outside of strings follows a name. */
const namesIn = (text: string): number => text.replaceAll(strings, '').split(':').length - 1;

/** @throws SyntaxError if a number or a string is outside of RFC 7493. */
function keysIn(value: object): number {
  let keys = 0;
  const open: unknown[] = [value];
  for (const one of open) {
    if (one === Infinity || one === -Infinity) throw new SyntaxError('a number beyond 64-bit floats');
    if (typeof one === 'string' && !one.isWellFormed()) throw new SyntaxError('half of a surrogate pair');
    if (typeof one !== 'object' || one === null) continue;
    const values = Object.values(one);
    if (!Array.isArray(one)) {
      keys += values.length;
      open.push(...Object.keys(one));
    }
    for (const inner of values) open.push(inner);
  }
  return keys;
}
