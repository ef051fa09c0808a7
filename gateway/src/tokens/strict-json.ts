/**
 * Parses a JSON object in which no name stands twice, at any depth. `JSON.parse` keeps the last of two, other parsers the
 * first: a token that two readers understand differently is not one token (RFC 8725 section 2.4, RFC 7519 section 4).
 *
 * @param bytes UTF-8; an invalid sequence is refused, not replaced.
 * @throws SyntaxError or TypeError when the bytes are anything else.
 */
export function parseStrictObject(bytes: Uint8Array): Record<string, unknown> {
  const text = utf8.decode(bytes);
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('not a JSON object');
  refuseRepeatedNames(text);
  return value as Record<string, unknown>;
}

// Fatal, and without swallowing a byte order mark: JSON.parse then refuses that too.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const string = /"(?:[^"\\]|\\.)*"/y;

/** @param text Valid JSON: only strings and brackets need to be told apart. */
function refuseRepeatedNames(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === '"') {
      string.lastIndex = at;
      const literal = string.exec(text)?.[0] ?? '';
      at += literal.length;
      const names = open.at(-1);
      if (names !== undefined && isName(text, at)) addOnce(names, JSON.parse(literal) as string);
      continue;
    }
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    at += 1;
  }
}

function isName(text: string, at: number): boolean {
  let next = at;
  while (text[next] === ' ' || text[next] === '\n' || text[next] === '\r' || text[next] === '\t') next += 1;
  return text[next] === ':';
}

function addOnce(names: Set<string>, name: string): void {
  if (names.has(name)) throw new SyntaxError('a name stands twice');
  names.add(name);
}
