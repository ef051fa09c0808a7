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
