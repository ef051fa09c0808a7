/** One segment of a route's path. An empty literal stands for a trailing slash. */
export type Segment =
  | Readonly<{ kind: 'literal'; text: string }>
  | Readonly<{ kind: 'param'; name: string }>
  | Readonly<{ kind: 'rest' }>;

const maxSegments = 32;
// Only unreserved characters (RFC 3986 section 2.3). They have one spelling, because the gateway refuses request
// targets that percent-encode them.
const literalText = /^[A-Za-z0-9._~-]+$/;
const paramName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** @returns The segments of a route's path, or a message that says what is wrong with it. */
export function parsePattern(pattern: string): readonly Segment[] | string {
  if (!pattern.startsWith('/')) return 'must begin with a slash';
  const parts = pattern.slice(1).split('/');
  if (parts.length > maxSegments) return `has more than ${maxSegments} segments`;

  const segments: Segment[] = [];
  const names = new Set<string>();
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    if (part === '**') {
      if (!last) return 'has "**" before the end: only the last segment may be "**"';
      segments.push({ kind: 'rest' });
    } else if (part.startsWith(':')) {
      const name = part.slice(1);
      if (!paramName.test(name))
        return `has the invalid parameter "${part}": write ":" and a name of letters, digits and "_"`;
      if (names.has(name)) return `has ":${name}" twice`;
      names.add(name);
      segments.push({ kind: 'param', name });
    } else if (part === '') {
      if (!last) return 'has an empty segment ("//")';
      segments.push({ kind: 'literal', text: '' });
    } else if (part === '.' || part === '..') {
      return 'has a dot segment';
    } else if (!literalText.test(part)) {
      return `has the invalid segment "${part}": use letters, digits and "-._~", ":name" for one segment, or "**" at the end for any number`;
    } else {
      segments.push({ kind: 'literal', text: part });
    }
  }
  return segments;
}

/** Returns the shape of a path. Two routes with one shape match exactly the same paths. */
export function shapeOf(segments: readonly Segment[]): string {
  return segments
    .map((segment) => (segment.kind === 'literal' ? segment.text : segment.kind === 'param' ? ':' : '**'))
    .join('/');
}

/** Returns the methods that a route serves. GET implies HEAD (RFC 9110 section 9.3.2). */
export function servedMethods(methods: readonly string[]): readonly string[] {
  return methods.includes('GET') && !methods.includes('HEAD') ? [...methods, 'HEAD'] : methods;
}

/** @returns The pattern of the paths that match both. Undefined if there are none. */
export function intersectionOf(one: readonly Segment[], other: readonly Segment[]): readonly Segment[] | undefined {
  const both: Segment[] = [];
  for (let at = 0; ; at += 1) {
    const [left, right] = [one[at], other[at]];
    if (left?.kind === 'rest') return [...both, ...other.slice(at)];
    if (right?.kind === 'rest') return [...both, ...one.slice(at)];
    if (left === undefined || right === undefined) return left === right ? both : undefined;
    if (left.kind === 'literal' && right.kind === 'literal' && left.text !== right.text) return undefined;
    both.push(left.kind === 'literal' ? left : right);
  }
}

type Rewrite = Readonly<{ from: string; to: string }>;

export const prefixParts = (prefix: string): readonly string[] => (prefix === '/' ? [] : prefix.slice(1).split('/'));

export function rewritePattern(segments: readonly Segment[], rewrite: Rewrite | undefined): readonly Segment[] {
  if (rewrite === undefined) return segments;
  const to = prefixParts(rewrite.to).map((text): Segment => ({ kind: 'literal', text }));
  return [...to, ...segments.slice(prefixParts(rewrite.from).length)];
}

/** Combining marks, and characters that are not shown (Unicode's Default_Ignorable_Code_Point). */
const dropped = /[\p{M}\p{Default_Ignorable_Code_Point}]+/gu;
const percent = 0x25;

/**
 * Reads a path as the most tolerant router would: ignores case, look-alike characters, repeated percent-encoding,
 * parameters after `;`, and dots, white space and slashes at the end of a segment or path. Two paths that any router
 * reads alike have equal results, but a parameter's value is changed too: compare only literals with it.
 *
 * @param path A canonical path.
 * @returns The segments. Takes time linear in the length for each level of encoding that compatibility characters hide.
 */
export function foldPath(path: string): readonly string[] {
  // A canonical path without percent-encoding is ASCII.
  const text = path.includes('%') ? foldText(path) : path.toLowerCase();
  const segments = text.split(/[/\\]/).slice(1).map(foldSegment);
  while (segments.at(-1) === '') segments.pop();
  return segments;
}

/** Does the same with a route's pattern: `/Keys/` and `/keys` have equal results. */
export function foldPattern(segments: readonly Segment[]): readonly Segment[] {
  const folded = segments.map(
    (segment): Segment =>
      segment.kind === 'literal' ? { kind: 'literal', text: foldSegment(segment.text.toLowerCase()) } : segment,
  );
  while (folded.at(-1)?.kind === 'literal' && (folded.at(-1) as { text: string }).text === '') folded.pop();
  return folded;
}

function foldSegment(segment: string): string {
  const parameters = segment.indexOf(';');
  let end = parameters === -1 ? segment.length : parameters;
  let start = 0;
  while (start < end && isEdge(segment.charCodeAt(end - 1))) end -= 1;
  while (start < end && isEdge(segment.charCodeAt(start))) start += 1;
  return segment.slice(start, end);
}

const isEdge = (code: number): boolean =>
  code === 0x2e || code <= 0x20 || (code >= 0x7f && /[\s\p{Cc}]/u.test(String.fromCharCode(code)));

/** Repeats, because each step can reveal input for another: U+FF05 becomes `%`, and U+0130 `i` with a mark. */
function foldText(text: string): string {
  // Upper case first: `ſ` and `ß` have no other way to `s`.
  const folded = decode(text).normalize('NFKD').replace(dropped, '').toUpperCase().toLowerCase();
  return folded === text ? folded : foldText(folded);
}

/** Decodes every percent-encoding, however often encoded. From the end, so that one pass sees what it has decoded. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = Buffer.from(text);
  let start = bytes.length;
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    start -= 1;
    bytes[start] = bytes[at] as number;
    while (bytes[start] === percent) {
      const value = hexValue(bytes[start + 1]) * 16 + hexValue(bytes[start + 2]);
      if (Number.isNaN(value)) break;
      start += 2;
      bytes[start] = value;
    }
  }
  return bytes.toString('utf8', start);
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}
